"""The proxy of docs/serving.md, in front of a server: TLS, keys, and a stream that is not held."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

DOCS = Path(__file__).parents[3] / "docs" / "serving.md"
NAME = "models.example.org"
nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(nginx is None, reason="nginx is not installed")


def block(port: int, behind: str, folder: Path) -> str:
    """The block of the document, on ports and with files of this test."""
    (found,) = re.findall(r"^```\n(server \{\n.*?^\})\n```", DOCS.read_text(), re.S | re.M)
    for told, ours in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/models": str(folder / "models"),
        "http://127.0.0.1:8000": behind,
    }.items():
        assert told in found
        found = found.replace(told, ours)
    return found


@pytest.fixture
def proxied(
    tmp_path: Path, served_home: Any, serve_home: Any, wait_until: Callable[..., None]
) -> Iterator[tuple[Any, httpx.Client]]:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"),
            *("-keyout", str(tmp_path / "models.key"), "-out", str(tmp_path / "models.pem")),
        ],
        check=True,
        capture_output=True,
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with serve_home(served_home, hosts=[NAME]) as served:
        places = "".join(
            f"{kind}_temp_path {tmp_path};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;"
            f"events {{}} http {{ access_log off; {places}"
            f" {block(port, served.url, tmp_path)} }}"
        )
        assert nginx is not None
        running = subprocess.Popen([nginx, "-p", str(tmp_path), "-c", "nginx.conf"])
        context = ssl.create_default_context(cafile=str(tmp_path / "models.pem"))
        try:
            with httpx.Client(
                base_url=f"https://127.0.0.1:{port}",
                headers={"Host": NAME},
                verify=context,
                timeout=60,
                trust_env=False,
            ) as client:
                wait_until(lambda: answers(port))
                yield served, client
        finally:
            running.terminate()
            running.wait()


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def ask(client: httpx.Client, **asked: Any) -> httpx.Request:
    return client.build_request(
        "POST",
        "/v1/completions",
        json={"model": "speeches", "prompt": "The", "seed": 1, **asked},
        extensions={"sni_hostname": NAME},
    )


def test_it_is_answered_as_without_it(proxied: tuple[Any, httpx.Client]) -> None:
    served, client = proxied
    found = client.send(ask(client, max_tokens=9)).json()["choices"]
    assert found == served.complete(max_tokens=9, seed=1).json()["choices"]


def test_a_stream_is_handed_on_as_it_is_drawn(proxied: tuple[Any, httpx.Client]) -> None:
    served, client = proxied
    answer = client.send(ask(client, max_tokens=4000, n=4, stream=True), stream=True)
    lines = answer.iter_lines()
    first = next(line for line in lines if line)
    assert json.loads(first.removeprefix("data: "))["choices"]
    # It is still being drawn.
    assert served.client.get("/metrics").text.count('lmcore_requests_running{model="speeches"')
    running = re.search(
        r"lmcore_requests_running\{[^}]*\} (\d+)", served.client.get("/metrics").text
    )
    assert running is not None
    assert int(float(running[1])) == 4
    answer.close()


def test_what_is_too_large_or_asks_for_another_place_is_refused(
    proxied: tuple[Any, httpx.Client],
) -> None:
    _, client = proxied
    large = client.send(ask(client, prompt="a" * (2 << 20)))
    assert large.status_code == 413
    other = client.build_request("GET", "/metrics", extensions={"sni_hostname": NAME})
    assert client.send(other).status_code == 404
