import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path

import mlflow.pyfunc
import pytest

from flows.home.environment import Home, make_home
from flows.registry.connection import connect
from flows.registry.models import Registry
from flows.registry.tracking import open_run
from flows.registry.version_files import requirements
from flows.registry.versions import Version, check_name
from lmcore.errors import IntegrityError, NotFoundError, UserError
from lmcore.version_folder import VersionFolder, open_version

Register = Callable[..., Version]
Assemble = Callable[..., VersionFolder]
ROOT = Path(__file__).parents[3]


def stored(home: Home) -> list[Path]:
    return [path for path in home.mlflow_artifacts.rglob("*") if path.is_file()]


def test_a_version_is_registered_with_what_it_is(registry: Registry, register: Register) -> None:
    version = register(metrics={"val_bits_per_byte": {"value": 1.5}}, verdict="all gates PASS")
    assert (version.number, version.outcome, version.passed) == (1, "registered", True)
    assert version.aliases == ("challenger",)
    assert version.metrics == {"val_bits_per_byte": {"value": 1.5}}
    assert version.flow_run_id == "flow-1"
    folder = registry.open(version)
    assert folder.weights_sha256 == version.weights_sha256
    assert folder.lineage()["data"] == "d" * 64
    assert registry.models() == ["speeches"]
    assert registry.versions("speeches") == [version]
    answer = json.loads(json.dumps(version.to_json()))
    assert {"version", "outcome", "aliases", "metrics", "created"} <= set(answer)


def test_nothing_that_is_stored_can_carry_code(
    home: Home, registry: Registry, register: Register
) -> None:
    register()
    suffixes = {path.suffix for path in stored(home)}
    assert suffixes == {*("", ".json", ".yaml", ".txt", ".html", ".md", ".parquet", ".safetensors")}
    assert {path.name for path in stored(home) if not path.suffix} == {"MLmodel"}


def test_the_same_run_registers_once(
    registry: Registry, register: Register, assemble_in: Assemble, tmp_path: Path
) -> None:
    first = register(run_key="a")
    again = assemble_in(tmp_path, "again")  # its manifest has another time
    assert register(again, run_key="a") == first
    assert register(again, run_key="a", passed=False, verdict="champion FAIL") != first
    second = register(run_key="b")
    assert [version.number for version in registry.versions("speeches")] == [1, 2, 3]
    assert registry.find_by_run_key("speeches", "b") == second
    assert registry.find_by_run_key("speeches", "c") is None


def test_a_request_that_arrived_twice_leaves_one_version(
    registry: Registry, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = type(connect(registry.home))
    create = client.create_model_version

    def twice(*args: object, **kwargs: object) -> object:
        create(*args, **kwargs)  # the server ends before it answers, and the client asks again
        return create(*args, **kwargs)

    monkeypatch.setattr(client, "create_model_version", twice)
    version = register(run_key="a")
    assert version.number == 1
    assert [v.number for v in registry.versions("speeches")] == [1]
    assert registry.aliases("speeches") == {"challenger": 1}
    monkeypatch.undo()
    assert register(run_key="a") == version


def test_a_rejected_candidate_becomes_no_challenger(registry: Registry, register: Register) -> None:
    version = register(passed=False, verdict="competence FAIL")
    assert (version.outcome, version.aliases, version.passed) == ("rejected", (), False)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE = {"flipped": flip, "truncated": truncate, "removed": Path.unlink}


@pytest.mark.parametrize("file", ["model/model.safetensors", "evaluation/gates.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_before_is_not_registered(
    registry: Registry, register: Register, version_folder: VersionFolder, damage: str, file: str
) -> None:
    DAMAGE[damage](version_folder.path / file)
    with pytest.raises(IntegrityError, match=file):
        register()
    assert registry.versions("speeches") == []
    assert registry.aliases("speeches") == {}


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


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_in_the_registry_is_not_opened(
    home: Home, registry: Registry, register: Register, damage: str
) -> None:
    version = register()
    (weights,) = (path for path in stored(home) if path.name == "model.safetensors")
    DAMAGE[damage](weights)
    with pytest.raises(IntegrityError, match=r"model\.safetensors.*nothing was loaded"):
        registry.open(version)


def test_a_folder_that_verifies_but_was_never_registered_is_not_opened(
    home: Home, registry: Registry, register: Register
) -> None:
    version = register()
    (weights,) = (path for path in stored(home) if path.name == "model.safetensors")
    folder = weights.parent.parent
    from lmcore.artifacts import Manifest

    (folder / "README.md").write_text("another card")
    Manifest.write(folder, kind="version", inputs={})
    assert open_version(folder)
    with pytest.raises(IntegrityError, match="not the manifest that was registered"):
        registry.open(version)
    shutil.rmtree(folder)
    with pytest.raises(IntegrityError, match="are missing"):
        registry.open(version)


def test_versions_are_found_by_number_and_alias(registry: Registry, register: Register) -> None:
    register(run_key="a")
    register(run_key="b")
    registry.set_alias("speeches", "champion", 1)
    for which in (1, "1", "v1", "champion"):
        assert registry.version("speeches", which).number == 1
    with pytest.raises(NotFoundError, match=r"no alias 'previous' .it has: challenger, champion"):
        registry.version("speeches", "previous")
    with pytest.raises(NotFoundError, match="has no version 9"):
        registry.version("speeches", 9)
    with pytest.raises(NotFoundError, match="model 'other' does not exist"):
        registry.version("other", 1)
    registry.set_alias("speeches", "champion", None)
    assert registry.aliases("speeches") == {"challenger": 2}


def test_a_model_is_chosen_where_there_is_one(registry: Registry, register: Register) -> None:
    with pytest.raises(NotFoundError, match="no model is registered"):
        registry.choose_model(None)
    register()
    assert registry.choose_model(None) == "speeches"
    with pytest.raises(NotFoundError, match="model 'x' does not exist; registered are speeches"):
        registry.choose_model("x")
    register(name="tweets")
    with pytest.raises(UserError, match="several models: speeches, tweets"):
        registry.choose_model(None)


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "..", "a b", "é", "x" * 101, "-a", "a'or'"])
def test_names_that_no_registry_holds_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="expected 1 to 100 letters"):
        check_name(name)


def test_requirements_are_pinned_and_name_no_package_of_ours() -> None:
    pins = requirements()
    assert all("==" in pin and "+" not in pin for pin in pins)
    assert not [pin for pin in pins if pin.startswith("lmcore")]


def load(home: Home, uri: str) -> mlflow.pyfunc.PyFuncModel:
    mlflow.set_tracking_uri(home.tracking_uri)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlflow.pyfunc.load_model(uri)


def test_mlflow_loads_the_champion_and_refuses_tampered_weights(
    home: Home, registry: Registry, register: Register
) -> None:
    register()
    registry.set_alias("speeches", "champion", 1)
    model = load(home, "models:/speeches@champion")
    answer = model.predict([{"prompt": "Fellow "}, {"prompt": ""}], params={"max_tokens": 4})
    assert list(answer.columns) == ["text"]
    assert all(isinstance(text, str) for text in answer["text"])
    again = model.predict([{"prompt": "Fellow "}, {"prompt": ""}], params={"max_tokens": 4})
    assert answer.equals(again)
    (weights,) = (path for path in stored(home) if path.name == "model.safetensors")
    flip(weights)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load(home, "models:/speeches@champion")


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
        refused = {
            "unknown column": {"dataframe_split": {"columns": ["x"], "data": [["a"]]}},
            "not a text": {"dataframe_split": {"columns": ["prompt"], "data": [[3]]}},
            "too many tokens": {"dataframe_split": prompts, "params": {"max_tokens": 10**6}},
            "no number": {"dataframe_split": prompts, "params": {"temperature": "hot"}},
            "too many": {"dataframe_split": {"columns": ["prompt"], "data": [["a"]] * 65}},
            "too long": {"dataframe_split": {"columns": ["prompt"], "data": [["a" * 70_000]]}},
        }
        statuses = {why: ask(port, "invocations", request) for why, request in refused.items()}
        assert statuses == dict.fromkeys(refused, 400)
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def ask(port: int, path: str, body: object) -> int | dict[str, list[dict[str, str]]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status if body is None else json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_the_run_of_a_version_is_found_from_it(
    home: Home, registry: Registry, register: Register
) -> None:
    run = open_run(home, model="speeches", run_key="a", name="n")
    version = register(run_id=run.run_id)
    assert version.run_id == run.run_id


@pytest.mark.parametrize("copied", [False, True])
def test_a_home_that_was_moved_or_copied_keeps_its_versions_to_itself(
    home: Home,
    registry: Registry,
    register: Register,
    register_in: Register,
    tmp_path: Path,
    version_folder: VersionFolder,
    copied: bool,
) -> None:
    register()
    other = tmp_path / "another place"
    (shutil.copytree if copied else shutil.move)(home.root, other)
    moved = Registry(make_home(other))
    folder = moved.open(moved.version("speeches", 1))
    assert folder.path.is_relative_to(other)
    before = sorted(home.root.rglob("*"))
    second = register_in(moved, version_folder, run_key="b")
    assert moved.open(second).path.is_relative_to(other)
    assert sorted(home.root.rglob("*")) == before
    load(moved.home, "models:/speeches/1")
