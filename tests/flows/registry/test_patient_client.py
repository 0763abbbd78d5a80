"""A real client of MLflow's against a server that is away, ill, or says no."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow.exceptions import MlflowException

from flows.home import patience
from flows.home.patience import ServerGoneError
from flows.registry.patient_client import PatientClient, hasty, outage


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_gone", {})
    monkeypatch.setattr(patience, "_ASK_SECONDS", 0.01)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


class Answers(BaseHTTPRequestHandler):
    """First two errors of a server that starts, then that the model does not exist."""

    codes = iter(())

    def do_GET(self) -> None:
        code = next(type(self).codes, 404)
        body = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Answers.codes = iter((503, 500))
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def client(address: str) -> PatientClient:
    return PatientClient(address, server=f"MLflow at {address}", remedy="start it")


def test_a_server_that_starts_is_waited_for_and_its_no_is_final(server: str) -> None:
    asked = client(server)
    with pytest.raises(MlflowException) as hurried:
        hasty(asked).get_registered_model("speeches")
    assert outage(hurried.value) == "it gives 503 error responses only"
    with pytest.raises(MlflowException, match="none") as refused:
        asked.get_registered_model("speeches")
    assert outage(refused.value) is None
    assert next(Answers.codes, None) is None


def test_a_server_that_is_gone_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.WAIT_VARIABLE, "0")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(ServerGoneError, match=rf"MLflow at {address} was not back .* start it\."):
        client(address).get_run("0" * 32)
