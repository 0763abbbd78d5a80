from lmcore.reporting.interface import interface_page

FIELDS = {
    "n": {"type": "integer", "minimum": 1, "maximum": 3, "default": 1, "description": "<b>How</b>"},
    "stop": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "size": {"type": "number", "minimum": 0},
}


def test_a_route_is_shown_with_its_keys_and_nothing_is_markup() -> None:
    schema = {"type": "object", "properties": FIELDS, "required": ["stop"]}
    body = {"content": {"application/json": {"schema": schema}}}
    route = {"summary": "Ask & wait", "requestBody": body, "responses": {"200": {}, "400": {}}}
    page = interface_page(
        {
            "info": {"title": "t", "version": "1"},
            "paths": {"/ask": {"post": route}, "/": {"get": {"responses": {}}}},
        }
    )
    for part in (
        "POST",
        "/ask",
        "Ask &amp; wait",
        "integer 1 to 3",
        "string or list of string",
        "number from 0",
        "needed",
        "&lt;b&gt;How&lt;/b&gt;",
        "200, 400",
    ):
        assert part in page
    assert "<b>" not in page
