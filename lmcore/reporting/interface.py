"""A page about an HTTP interface, drawn from its OpenAPI description.

In: the description.  Out: one HTML page that asks no address for anything, unlike the pages that
frameworks bring, which load their script from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lmcore.reporting.templates import environment

#: The page has no script and loads nothing.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


def interface_page(description: Mapping[str, Any]) -> str:
    """The page.

    Args:
        description: OpenAPI 3.1, references inlined.
    """
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "summary": route.get("summary", ""),
            "fields": _fields(route),
            "statuses": ", ".join(sorted(route["responses"])),
        }
        for path, methods in description["paths"].items()
        for method, route in methods.items()
    ]
    info = description["info"]
    return (
        environment()
        .get_template("interface.html.j2")
        .render(
            policy=CONTENT_SECURITY_POLICY,
            title=info["title"],
            version=info["version"],
            about=info.get("description", ""),
            routes=routes,
        )
    )


def _fields(route: Mapping[str, Any]) -> list[dict[str, str]]:
    content = route.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    needed = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "type": _type(field),
            "default": "needed" if name in needed else json.dumps(field.get("default")),
            "about": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _type(schema: Mapping[str, Any]) -> str:
    """What a value is, in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    kind = str(schema.get("type", "value"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind} {low:g} to {high:g}"
    return kind if low is None else f"{kind} from {low:g}"
