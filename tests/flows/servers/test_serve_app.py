import base64
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from flows.servers import serve_app
from flows.servers.serve_app import LOGIN_VARIABLE, guarded


def basic(login: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(login.encode()).decode()}"}


@pytest.fixture
def client() -> TestClient:
    async def show(request: Request) -> PlainTextResponse:
        return PlainTextResponse("inside")

    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("inside")
        await websocket.close()

    methods = ["GET", "POST"]
    app = Starlette(
        routes=[
            Route("/", show, methods=methods),
            Route("/health", show, methods=methods),
            WebSocketRoute("/events", listen),
        ]
    )
    return TestClient(guarded(app, "lmcore:pässword"))


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_login_lets_in(client: TestClient, scheme: str) -> None:
    assert client.get("/", headers=basic("lmcore:pässword", scheme)).text == "inside"
    with client.websocket_connect("/events", headers=basic("lmcore:pässword")) as events:
        assert events.receive_text() == "inside"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("lmcore:wrong"),
        basic("lmcore:"),
        basic("lmcore:pässwor"),
        basic("lmcore:pässword", "Bearer"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic lmcore:p"},
    ],
)
def test_anything_else_is_asked_for_it(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.get("/", headers=headers)
    assert (answer.status_code, answer.text) == (401, "log in first\n")
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/events", headers=headers),
    ):
        pass
    assert refused.value.code == 1008


def test_whether_it_lives_may_be_asked_by_anybody_and_nothing_else(client: TestClient) -> None:
    assert client.get("/health").status_code == 200
    assert client.post("/health").status_code == 401
    assert client.get("/health/").status_code == 401
    assert client.get("/healthy").status_code == 401


def test_it_serves_on_the_socket_that_it_inherits_and_ends_with_its_input(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from starlette.applications import Starlette\n"
        "from starlette.responses import PlainTextResponse\n"
        "from starlette.routing import Route\n"
        "import os\n"
        "def make():\n"
        f"    assert {LOGIN_VARIABLE!r} not in os.environ\n"
        "    return Starlette(routes=[Route('/', lambda request: PlainTextResponse('open'))])\n"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", str(serve_app.__file__), str(listener.fileno())),
                *("shop:make", "--factory"),
            ],
            env={"PYTHONPATH": str(tmp_path), LOGIN_VARIABLE: "a:b"},
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
        try:
            # Asked before it runs: the request waits in the socket.
            request = urllib.request.Request(url, headers=basic("a:b"))
            with opener.open(request, timeout=60) as answer:
                assert answer.read() == b"open"
            with pytest.raises(urllib.error.HTTPError, match="401"):
                opener.open(url, timeout=60)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(timeout=60) == 0
