"""Traces for whoever collects them: spans of a run and its steps, of a request and its model.

In: OTEL_EXPORTER_OTLP_ENDPOINT and its kin, as OpenTelemetry defines them.  Out: spans over OTLP
and HTTP, sent by a thread that nothing waits for.  Where the variable is not set nothing is
imported and nothing is measured.  Spans hold names, counts and times, and nothing of any text.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SERVICE = "lmcore"
Attributes = Mapping[str, str | int | float | bool]


class Span:
    """A stretch of work; does nothing where nobody collects.

    Args:
        span: Of the library, or None.
    """

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def note(self, **attributes: str | int | float | bool) -> None:
        """Say what is known now."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def child(self, name: str) -> Span:
        """A part of it."""
        if self._span is None:
            return self
        from opentelemetry.trace import set_span_in_context

        tracer = _tracer()
        assert tracer is not None
        return Span(tracer.start_span(name, context=set_span_in_context(self._span)))

    def end(self, *, failed: str = "") -> None:
        """It is over; ending it twice changes nothing."""
        if self._span is None or not self._span.is_recording():
            return
        if failed:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, failed))
        self._span.end()


def begin(name: str, *, carrier: Mapping[str, str] | None = None) -> Span:
    """Begin a span; the caller ends it.

    Args:
        name: Of few kinds: what is done, not on what.
        carrier: Headers that may name the span that it is a part of (W3C Trace Context).
    """
    tracer = _tracer()
    if tracer is None:
        return Span()
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(dict(carrier or {}))
    return Span(tracer.start_span(name, context=context))


@contextlib.contextmanager
def traced(name: str, *, within: Span | None = None) -> Iterator[Span]:
    """A span of what is done inside; an error makes it a failed one."""
    span = begin(name) if within is None else within.child(name)
    try:
        yield span
    except BaseException as error:
        span.end(failed=type(error).__name__)
        raise
    finally:
        span.end()


@functools.cache
def _tracer() -> Any:
    """The tracer of this process, with a provider of its own; None where nobody collects."""
    if not any(os.environ.get(name, "").strip() for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        logger.warning("no traces: give `pip install 'lmcore[otel]'` (%s)", error)
        return None
    # Not the global one: libraries that trace as well would send theirs along.
    provider = TracerProvider(resource=Resource.create({"service.name": _SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    atexit.register(provider.shutdown)
    return provider.get_tracer(_SERVICE)
