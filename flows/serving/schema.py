"""How a route is described in OpenAPI: what it reads, and how it refuses.

Routes read their body themselves, as a refusal must have OpenAI's form; so the schema is said here.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_WHEN = {
    400: "The request is wrong.",
    401: "No key, or one that is not known.",
    404: "No such model or version.",
    409: "Said before.",
    413: "Too much at once.",
    429: "Too much at the same time; see Retry-After.",
    503: "Nothing answers yet.",
}


def described(*statuses: int, request: type[BaseModel] | None = None) -> dict[str, Any]:
    """Arguments of a route.

    Args:
        statuses: Of its refusals.
        request: What its body is.
    """
    error = {"application/json": {"schema": _ERROR}}
    found: dict[str, Any] = {
        "responses": {
            status: {"description": _WHEN[status], "content": error} for status in statuses
        },
        "response_model": None,
    }
    if request is not None:
        schema = request.model_json_schema(ref_template="#/components/schemas/{model}")
        definitions = schema.pop("$defs", {})
        found["openapi_extra"] = {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _inlined(schema, definitions)}},
            }
        }
    return found


def _inlined(value: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references."""
    if isinstance(value, dict):
        if "$ref" in value:
            name = value["$ref"].rpartition("/")[2]
            return _inlined(
                {**definitions[name], **{k: v for k, v in value.items() if k != "$ref"}},
                definitions,
            )
        return {key: _inlined(one, definitions) for key, one in value.items()}
    if isinstance(value, list):
        return [_inlined(one, definitions) for one in value]
    return value
