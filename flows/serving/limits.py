"""How much may be asked, so that memory is bounded whatever is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one server.

    Attributes:
        lanes: Requests that a model answers together.
        waiting: Requests that may wait for a model.
        body_bytes: Of a request.
        body_seconds: In which a request's body must have come.
        prompts: Of a request.
        prompt_tokens: Of all prompts of a request together.
        texts: For a task, of a request.
        max_tokens: Of one answer.
        answer_tokens: Of all answers of a request together.
        seconds: From the request to the end of its answer.
        per_client: Requests of one client at once.
        drain_seconds: After a signal, for the requests under way.
    """

    lanes: int = 32
    waiting: int = 256
    body_bytes: int = 1 << 20
    body_seconds: float = 20.0
    prompts: int = 64
    prompt_tokens: int = 1 << 16
    texts: int = 256
    max_tokens: int = 4096
    answer_tokens: int = 1 << 14
    seconds: float = 300.0
    per_client: int = 128
    drain_seconds: float = 30.0
