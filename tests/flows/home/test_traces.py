"""Spans reach a collector over OTLP, and nothing is imported where there is none."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROOT = Path(__file__).parents[3]
_CODE = """
import sys
from flows.home.traces import begin, traced
from flows.steps.stopwatch import Stopwatch
span = begin("request", carrier={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
span.note(status=200)
part = span.child("model")
part.end()
part.end()
span.end()
try:
    with traced("retrain") as run:
        watch = Stopwatch(span=run)
        with watch.step("ingest"):
            pass
        with watch.step("train"):
            raise ValueError("no text of ours")
except ValueError:
    pass
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")][:1])
"""


class Collector(http.server.BaseHTTPRequestHandler):
    """Keeps what is sent to it."""

    got: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        self.got.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[http.server.HTTPServer]:
    handler = type("Kept", (Collector,), {"got": []})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ran(**environ: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        cwd=ROOT,
        env={**kept, "OTEL_EXPORTER_OTLP_COMPRESSION": "none", **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


def test_without_a_collector_nothing_is_imported() -> None:
    assert ran() == "[]"


def test_spans_arrive_with_their_parents(collector: http.server.HTTPServer) -> None:
    address = f"http://127.0.0.1:{collector.server_address[1]}"
    assert ran(OTEL_EXPORTER_OTLP_ENDPOINT=address, NO_PROXY="127.0.0.1") != "[]"
    got = collector.RequestHandlerClass.got  # type: ignore[attr-defined]
    spans = {
        span.name: span
        for request in got
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert set(spans) == {"request", "model", "retrain", "ingest", "train"}
    assert spans["request"].trace_id.hex() == "a" * 32
    assert spans["request"].parent_span_id.hex() == "b" * 16
    assert spans["model"].parent_span_id == spans["request"].span_id
    for step in ("ingest", "train"):
        assert spans[step].parent_span_id == spans["retrain"].span_id
    assert spans["train"].status.code == 2
    assert spans["train"].status.message == "ValueError"
    assert {a.key: a.value.int_value for a in spans["request"].attributes} == {"status": 200}
    assert "no text of ours" not in str(got)
