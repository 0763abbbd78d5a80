"""Somebody who is told."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Receiver:
    """A real server that answers with the codes it is given, the last one for ever."""

    url: str = ""
    codes: list[int] = field(default_factory=lambda: [204])
    posted: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    state = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.asked += 1
            code = state.codes.pop(0) if len(state.codes) > 1 else state.codes[0]
            if code == 0:  # no answer at all
                self.close_connection = True
                return
            if code < 300:
                assert self.headers["Content-Type"] == "application/json"
                state.posted.append(json.loads(body))
            self.send_response(code)
            if code in (301, 302, 307):
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}/secret-token"
        monkeypatch.setenv("LMCORE_WEBHOOK", state.url)
        yield state
        server.shutdown()
