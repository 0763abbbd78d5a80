"""Refusals in the form that clients of language models expect, and reading a body.

Error objects and codes are those of OpenAI's reference: `{"error": {message, type, param, code}}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Asked = TypeVar("Asked", bound=BaseModel)

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    421: "invalid_request_error",
    429: "rate_limit_error",
}
_SHOWN_CHARACTERS = 300


class RefusalError(Exception):
    """A request that is not answered.

    Args:
        status: HTTP status.
        message: What is wrong, and what to do.
        param: The key that it is about.
        code: For programs.
        retry_after: Seconds after which it may be tried again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """The error object."""
        return {
            "error": {
                "message": printable(self.message),
                "type": _TYPES.get(self.status, "server_error"),
                "param": self.param,
                "code": self.code,
            }
        }

    def headers(self) -> dict[str, str]:
        """What stands beside it."""
        found = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return found | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def printable(text: str) -> str:
    """A sentence that may quote a stranger's words: valid UTF-8, no control characters, short."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    clean = clean.encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= _SHOWN_CHARACTERS else f"{clean[: _SHOWN_CHARACTERS - 1]}…"


def parse(body: bytes) -> dict[str, Any]:
    """A request's body.

    Raises:
        RefusalError: If it is no JSON object, or holds NaN, half a surrogate pair or a key twice.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
        # Half a surrogate pair is valid JSON and no text.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusalError(400, f"the body is not UTF-8 (byte {error.start})") from error
    except UnicodeEncodeError as error:
        raise RefusalError(400, "the body holds half a surrogate pair, which is no text") from error
    except RecursionError as error:
        raise RefusalError(400, "the body is nested too deeply") from error
    except ValueError as error:
        raise RefusalError(400, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RefusalError(400, f"the body is a JSON {_kind(value)}; expected an object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object holds a key twice")
    return found


def _kind(value: object) -> str:
    kinds = {str: "text", list: "list", bool: "truth value", type(None): "null"}
    return kinds.get(type(value), "number")


def read(kind: type[Asked], values: Mapping[str, Any]) -> Asked:
    """A request of a kind.

    Raises:
        RefusalError: If a key is unknown, missing or of the wrong type.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        key, said = _first(error)
        if key in kind.model_fields or key is None:
            raise RefusalError(400, said, param=key) from error
        raise RefusalError(
            400, f"{key}: unknown; expected one of {', '.join(kind.model_fields)}", param=key
        ) from error


def _first(error: ValidationError) -> tuple[str | None, str]:
    """The key that is wrong, and one sentence; of a union the part that came nearest."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    keys = [str(one["loc"][0]) for one in found if one["loc"]]
    if not keys:
        said = str(found[0]["msg"]).removeprefix("Value error, ")
        key = said.partition(":")[0]
        return (key if key.isidentifier() else None), said
    of_key = [one for one in found if one["loc"] and str(one["loc"][0]) == keys[0]]
    deepest = max(of_key, key=lambda one: len(one["loc"]))
    ways = sorted({str(one["msg"]) for one in of_key if len(one["loc"]) == len(deepest["loc"])})
    return keys[0], f"{keys[0]}: {'; or '.join(ways)}"
