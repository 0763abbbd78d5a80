import base64
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from flows.servers import serve_app
from flows.servers.serve_app import LOGIN_VARIABLE, contained, fenced, guarded, kept_here


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


def test_only_what_is_named_is_guarded_where_something_is() -> None:
    async def show(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("inside")(scope, receive, send)

    part = TestClient(guarded(show, "a:b", ("/docs", "/openapi.json")))
    assert [part.get(path).status_code for path in ("/", "/api/docs", "/do")] == [200] * 3
    for path in ("/docs", "/docs/", "/docs/oauth2-redirect", "/%64ocs", "/openapi.json"):
        assert part.get(path).status_code == 401, path
        assert part.get(path, headers=basic("a:b")).text == "inside"


@pytest.fixture
def walled() -> TestClient:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
        else:
            await PlainTextResponse("inside")(scope, receive, send)

    return TestClient(fenced(app))


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:4200", None, 200),
        ("localhost", None, 200),
        ("[::1]:5000", "http://[::1]:5000", 200),
        ("LOCALHOST:5000", "http://localhost:5000", 200),  # through a tunnel
        ("evil.example", None, 403),
        ("127.0.0.1.evil.example", None, 403),
        ("localhost:5000@evil.example", None, 403),
        ("127.0.0.1:", None, 403),
        ("192.168.0.7:5000", None, 403),
        ("", None, 403),
        ("127.0.0.1:4200", "http://127.0.0.1:4201", 403),
        ("127.0.0.1:4200", "http://localhost:4200", 403),
        ("127.0.0.1:4200", "https://127.0.0.1:4200", 403),
        ("127.0.0.1:4200", "http://evil.example", 403),
        ("127.0.0.1:4200", "null", 403),
    ],
)
def test_no_other_name_and_no_page_of_another_origin_gets_in(
    walled: TestClient, host: str, origin: str | None, status: int
) -> None:
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    for method in ("GET", "POST", "OPTIONS", "DELETE"):
        assert walled.request(method, "/", headers=headers).status_code == status
    if status == 200:
        with walled.websocket_connect("/events", headers=headers):
            return
    with pytest.raises(WebSocketDisconnect), walled.websocket_connect("/e", headers=headers):
        pytest.fail("it was let in")


def test_in_a_container_it_is_asked_by_the_names_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "booth.py").write_text(
        "import os\n"
        "from starlette.responses import PlainTextResponse\n"
        "def make():\n"
        "    assert not [name for name in os.environ if name.startswith('LMCORE_SERVER_')]\n"
        "    return PlainTextResponse('inside')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(serve_app.APP_VARIABLE, "booth:make")
    monkeypatch.setenv(serve_app.NAMES_VARIABLE, "Server:4200 team.example")
    monkeypatch.setenv(serve_app.ORIGINS_VARIABLE, "https://team.example")
    client = TestClient(serve_app.application())
    for host, origin, status in (
        ("server:4200", None, 200),
        ("SERVER:4200", "http://server:4200", 200),
        ("127.0.0.1:4200", "https://team.example", 200),  # a proxy that encrypts
        ("team.example", "https://Team.example", 200),
        ("localhost:4200", None, 200),
        ("server", None, 403),
        ("server:42000", None, 403),
        ("team.example.evil", None, 403),
        ("server:4200", "http://team.example", 403),
        ("server:4200", "https://evil.example", 403),
    ):
        headers = {"Host": host} | ({"Origin": origin} if origin else {})
        assert client.get("/", headers=headers).status_code == status, headers


def test_where_mlflow_hands_files_on_places_are_of_its_own_scheme() -> None:
    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("inside")(scope, receive, send)

    client = TestClient(contained(inside, "mlflow-artifacts:/"))
    create = "/api/2.0/mlflow/experiments/create"
    for place in (None, "", "mlflow-artifacts:/", "mlflow-artifacts:/a/b", "MLFLOW-ARTIFACTS:/a"):
        answer = client.post(create, json={"name": "x", "artifact_location": place})
        assert answer.status_code == 200, place
    for place in (
        *("/etc", "file:///etc", "s3://bucket/x", "http://postgres:5432/", "relative"),
        *("mlflow-artifacts://elsewhere:80/a", "mlflow-artifacts:a", "x:/a", "//a"),
    ):
        answer = client.post(create, json={"name": "x", "artifact_location": place})
        assert answer.status_code == 400, place
        assert "mlflow-artifacts:/" in answer.text


def test_mlflow_keeps_artifacts_below_the_folder_alone(tmp_path: Path) -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await PlainTextResponse(await request.body())(scope, receive, send)

    root = tmp_path / "artifacts"
    client = TestClient(contained(echo, str(root)))
    create = "/api/2.0/mlflow/experiments/create"
    for place in (None, "", str(root), f"{root}/1", f"file://{root}/1", (root / "a b").as_uri()):
        answer = client.post(create, json={"name": "x", "artifact_location": place})
        assert (answer.status_code, answer.json()["artifact_location"]) == (200, place)
    (root / "out").parent.mkdir()
    (root / "out").symlink_to("/etc")
    for place in (
        *("//etc", "/etc", "file:///etc", "file://host/etc", f"{root}/../other", f"{root}-2"),
        *(f"file://{root}/%2e%2e/other", f"{root}/out", "s3://bucket", "../x", "relative"),
    ):
        for key in ("artifact_location", "artifactLocation"):
            for path in (create, create.replace("/api/", "/ajax-api/"), f"{create}/"):
                answer = client.post(path, json={"name": "x", key: place})
                assert answer.status_code == 400, (place, key)
                assert str(root) in answer.text
    utf16 = json.dumps({"artifact_location": "/etc"}).encode("utf-16")
    for body in (utf16, b"[" * 100_000, b"[1]", b'{"artifact_location": ["/etc"]}', b"{"):
        assert client.post(create, content=body).status_code == 400
    assert client.post(create, content=b" " * (2 << 20)).status_code == 400
    assert client.post("/other", content=b"/etc").text == "/etc"


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


def test_a_server_that_is_still_importing_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import sys, time\nprint('importing', flush=True)\ntime.sleep(600)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", str(serve_app.__file__), str(listener.fileno())),
                *("shop:make", "--factory"),
            ],
            env={"PYTHONPATH": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == b"importing\n"
            process.stdin.close()
            assert process.wait(timeout=60) == 0


def test_pages_may_ask_this_server_alone_unless_they_say_more_strictly() -> None:
    async def show(request: Request) -> PlainTextResponse:
        strict = {"Content-Security-Policy": "default-src 'none'"}
        return PlainTextResponse("x", headers=strict if request.url.path == "/own" else {})

    client = TestClient(kept_here(Starlette(routes=[Route("/", show), Route("/own", show)])))
    assert client.get("/").headers["content-security-policy"].startswith("default-src 'self' ")
    assert "http" not in client.get("/").headers["content-security-policy"]
    assert client.get("/own").headers.get_list("content-security-policy") == ["default-src 'none'"]
