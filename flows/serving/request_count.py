"""What is measured of one request: counters, histograms and spans, from its start to its end."""

from __future__ import annotations

import time

from fastapi import Request

from flows.home import traces
from flows.serving.completions import Completion
from flows.serving.loaded import Loaded
from flows.serving.measures import Measures

#: Of a model that is not served, whatever it was called.
UNKNOWN = "unknown"


class RequestCount:
    """What is measured of one request.

    Args:
        measures: Where.
        endpoint: Of the route.
        request: May name the span that it is a part of.

    Attributes:
        model: Which one answers; unknown until it is found.
        answering: Span of the model's part.
    """

    def __init__(self, measures: Measures, endpoint: str, request: Request) -> None:
        self._measures, self._endpoint, self.model = measures, endpoint, UNKNOWN
        self._start, self._ended = time.perf_counter(), False
        self._span = traces.begin(endpoint, carrier=request.headers)
        self.answering = traces.Span()

    def begun(self, loaded: Loaded) -> None:
        """It is handed to a version."""
        self._span.note(model=self.model, version=loaded.version.number)
        self.answering = self._span.child("model")

    def tokens(self, kind: str, number: int) -> None:
        """Tokens read or drawn."""
        self._measures.tokens.labels(self.model, kind).inc(number)

    def drawn(self, completion: Completion) -> None:
        """What a completion read and drew."""
        self.tokens("prompt", completion.prompt_tokens)
        self.tokens("completion", completion.completion_tokens)
        self.answering.note(
            prompt_tokens=completion.prompt_tokens, completion_tokens=completion.completion_tokens
        )
        if (first := completion.first_token_seconds) is not None:
            self.answering.note(first_token_seconds=first)
            self._measures.first_token_seconds.labels(self.model).observe(first)

    def end(self, status: int) -> None:
        """It is answered; counts once."""
        if self._ended:
            return
        self._ended = True
        self.answering.end()
        self._span.note(status=status)
        self._span.end(failed=str(status) if status >= 500 else "")
        self._measures.requests.labels(self.model, self._endpoint, status).inc()
        took = time.perf_counter() - self._start
        self._measures.seconds.labels(self.model, self._endpoint).observe(took)
