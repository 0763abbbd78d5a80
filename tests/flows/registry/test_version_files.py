import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import mlflow.pyfunc
import pytest
from mlflow.utils import environment, requirements_utils

from flows.home.environment import Home
from flows.registry.code_wheel import code_wheel
from flows.registry.connection import connect
from flows.registry.models import Registry
from flows.registry.version_files import _requirements_not_compared
from flows.registry.versions import Version
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest
from lmcore.version_folder import open_version

Register = Callable[..., Version]
Load = Callable[[Home, str], mlflow.pyfunc.PyFuncModel]
ROOT = Path(__file__).parents[3]


def stored(home: Home) -> list[Path]:
    return [path for path in home.mlflow_artifacts.rglob("*") if path.is_file()]


def test_the_only_code_that_is_stored_is_the_wheel_of_this_code(
    home: Home, registry: Registry, register: Register
) -> None:
    register()
    suffixes = {path.suffix for path in stored(home)} - {".whl"}
    assert suffixes == {*("", ".json", ".yaml", ".txt", ".html", ".md", ".parquet", ".safetensors")}
    (wheel,) = (path for path in stored(home) if path.suffix == ".whl")
    assert wheel.read_bytes() == code_wheel().content
    # Beside the requirements that name it, and outside of what loading reads.
    lines = (wheel.parents[1] / "requirements.txt").read_text().splitlines()
    assert lines == code_wheel().requirements()
    assert (wheel.parents[1] / lines[0].partition("=")[2]).parent == wheel.parent
    assert "code: null" in (wheel.parents[1] / "MLmodel").read_text()
    assert {path.name for path in stored(home) if not path.suffix} == {"MLmodel"}


def test_mlflow_does_not_compare_requirements_with_what_they_were_read_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []
    monkeypatch.setattr(requirements_utils, "_check_requirement_satisfied", compared.append)
    wanted = ["mlflow==0.0.1"]
    with _requirements_not_compared():
        assert environment._process_pip_requirements([], pip_requirements=wanted)[1] == wanted
    assert not compared
    environment._process_pip_requirements([], pip_requirements=wanted)
    assert compared == wanted


def test_what_is_damaged_on_its_way_is_not_registered(
    registry: Registry, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(run_key="good")
    client = type(connect(registry.home))
    upload = client.log_model_artifacts

    def lossy(self: object, model_id: str, local_dir: str) -> None:
        (Path(local_dir) / "data" / "version" / "model" / "model.safetensors").unlink()
        upload(self, model_id, local_dir)

    monkeypatch.setattr(client, "log_model_artifacts", lossy)
    with pytest.raises(IntegrityError, match=r"model.safetensors: the file is missing"):
        register(run_key="bad")
    assert [version.number for version in registry.versions("speeches")] == [1]
    assert registry.aliases("speeches") == {"challenger": 1}


def test_what_is_damaged_in_the_registry_is_not_opened(
    home: Home, registry: Registry, register: Register, spoil: Callable[[Path], None]
) -> None:
    version = register()
    (weights,) = (path for path in stored(home) if path.name == "model.safetensors")
    spoil(weights)
    shutil.rmtree(home.root / "kept")  # or it is put back from there
    with pytest.raises(IntegrityError, match=r"model\.safetensors.*nothing was loaded"):
        registry.open(version)


def test_a_folder_that_verifies_but_was_never_registered_is_not_opened(
    home: Home, registry: Registry, register: Register
) -> None:
    version = register()
    (weights,) = (path for path in stored(home) if path.name == "model.safetensors")
    folder = weights.parent.parent
    shutil.rmtree(home.root / "kept")  # or it is put back from there
    (folder / "README.md").write_text("another card")
    Manifest.write(folder, kind="version", inputs={})
    assert open_version(folder)
    with pytest.raises(IntegrityError, match="not the manifest that was registered"):
        registry.open(version)
    shutil.rmtree(folder)
    with pytest.raises(IntegrityError, match="are missing"):
        registry.open(version)


def test_mlflow_loads_the_champion_and_refuses_tampered_weights(
    home: Home,
    registry: Registry,
    register: Register,
    load_with_mlflow: Load,
    flip: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    register()
    registry.set_alias("speeches", "champion", 1)
    model = load_with_mlflow(home, "models:/speeches@champion")
    assert caplog.text == ""  # of what MLflow compares with the installed libraries
    answer = model.predict([{"prompt": "Fellow "}, {"prompt": ""}], params={"max_tokens": 4})
    assert list(answer.columns) == ["text"]
    assert all(isinstance(text, str) for text in answer["text"])
    again = model.predict([{"prompt": "Fellow "}, {"prompt": ""}], params={"max_tokens": 4})
    assert answer.equals(again)
    # MLflow makes one row of a dict of lists, whose cell is the list.
    for several in ({"prompt": ["Fellow ", ""]}, {"prompt": ("Fellow ", "")}):
        assert model.predict(several, params={"max_tokens": 4}).equals(answer)
    assert len(model.predict({"prompt": "Fellow "}, params={"max_tokens": 4})) == 1
    assert len(model.predict({"prompt": []})) == 0
    (weights,) = (path for path in stored(home) if path.name == "model.safetensors")
    flip(weights)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load_with_mlflow(home, "models:/speeches@champion")


@pytest.mark.slow
@pytest.mark.integration
def test_mlflow_serves_the_champion_and_refuses_what_is_too_much(
    home: Home, registry: Registry, register: Register, tmp_path: Path
) -> None:
    register()
    registry.set_alias("speeches", "champion", 1)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environ = {
        **os.environ,
        "MLFLOW_TRACKING_URI": home.tracking_uri,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", "models:/speeches@champion", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=tmp_path, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while ask(port, "ping", None) != 200:
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        prompts = {"columns": ["prompt"], "data": [["Fellow citizens"]]}
        answer = ask(port, "invocations", {"dataframe_split": prompts, "params": {"max_tokens": 3}})
        assert isinstance(answer, dict)
        assert list(answer["predictions"][0]) == ["text"]
        several = {"inputs": {"prompt": ["Fellow", "citizens"]}, "params": {"max_tokens": 3}}
        answer = ask(port, "invocations", several)
        assert isinstance(answer, dict)
        assert len(answer["predictions"]) == 2
        refused = {
            "unknown column": {"dataframe_split": {"columns": ["x"], "data": [["a"]]}},
            "not a text": {"dataframe_split": {"columns": ["prompt"], "data": [[3]]}},
            "too many tokens": {"dataframe_split": prompts, "params": {"max_tokens": 10**6}},
            "no number": {"dataframe_split": prompts, "params": {"temperature": "hot"}},
            "too many": {"dataframe_split": {"columns": ["prompt"], "data": [["a"]] * 65}},
            "too long": {"dataframe_split": {"columns": ["prompt"], "data": [["a" * 70_000]]}},
            "too long together": {"inputs": {"prompt": ["a" * 50_000] * 6}},
            "too large a number": {"dataframe_split": prompts, "params": {"max_tokens": 10**30}},
            "a seed that is none": {"dataframe_split": prompts, "params": {"seed": -1}},
        }
        bodies: list[bytes] = []
        statuses = {
            why: ask(port, "invocations", request, bodies) for why, request in refused.items()
        }
        assert statuses == dict.fromkeys(refused, 400)
        told = b"".join(bodies)
        assert b"prompts; at most 64" in told
        assert not any(word in told for word in (b"Traceback", b"stack_trace", b"site-packages"))
        assert str(ROOT).encode() not in told
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def ask(
    port: int, path: str, body: object, refusals: list[bytes] | None = None
) -> int | dict[str, list[dict[str, str]]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status if body is None else json.loads(answer.read())
    except urllib.error.HTTPError as error:
        if refusals is not None:
            refusals.append(error.read())
        return error.code
    except OSError:
        return 0
