import shutil
from collections import namedtuple
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from flows.commands import doctor as module
from lmcore.mending import set_aside

Usage = namedtuple("Usage", "total used free")
CHECKS = [
    *("python", "torch", "prefect", "mlflow", "tokenizers", "safetensors", "evaluate", "fastapi"),
    *("lock", "pretrained", "home", "disk", "content", "damaged", "mlflow store", "models"),
    *("prefect server", "processor"),
    "training precision",
]


@pytest.fixture
def served(shell_of: Any, home: Any) -> Any:
    """A home that points to a Prefect server, so that none is started."""
    return shell_of(replace(home, prefect_api_url="http://127.0.0.1:9/api"))


def test_everything_is_looked_at(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOW_DISK_BYTES", 0)
    monkeypatch.setattr(module, "_SLOW_GFLOPS", 0.0)  # a busy machine is not what is tried
    answer = served.answer("doctor")
    assert [check["check"] for check in answer["checks"]] == CHECKS
    assert answer["healthy"] is True
    found = {check["check"]: check["detail"] for check in answer["checks"]}
    assert found["python"].startswith("3.11.")
    assert "versions as in requirements.lock" in found["lock"]
    assert found["home"] == f"{served.home.root} is writable; its owner alone may read it"
    assert found["damaged"] == "nothing lies aside"
    assert found["mlflow store"].startswith(served.home.tracking_uri)
    assert found["prefect server"] == "http://127.0.0.1:9/api"
    assert "GFLOP/s in float32" in found["processor"]
    assert "bfloat16" in found["training precision"]
    assert [step["do"] for step in answer["next_steps"]] == ["lmcore run", "lmcore init FOLDER"]


def test_what_is_wrong_stops_no_other_check(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 1 << 40, 1 << 30))
    monkeypatch.setattr(module, "_SLOW_GFLOPS", 0.0)
    monkeypatch.setattr(module, "_PACKAGES", ("torch", "no-such-package"))
    done = served.run("doctor")
    assert done.exit_code == 1
    marks = {line[5:27].strip(): line[:4].strip() for line in done.stdout.splitlines()}
    assert {name for name, mark in marks.items() if mark == "FAIL"} == {"disk", "no-such-package"}
    assert [name for name, mark in marks.items() if mark == "ok"][-1] == "training precision"
    assert f"1.0 GiB free at {served.home.root}; a run needs about 2 GiB" in done.stdout
    assert [line.split()[0] for line in done.stdout.partition("to do:\n")[2].splitlines()] == [
        *("no-such-package", "disk"),
    ]


def test_what_failed_for_another_reason_has_no_remedy_of_its_own(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(home: Any) -> str:
        raise ConnectionError("away")

    checks = [
        module.Check("mlflow store", away, "start it"),
        module.Check("models", away, "go back", needs="mlflow store"),
    ]
    monkeypatch.setattr(module, "_checks", lambda home: checks)
    answer = served.answer("doctor", code=1)
    assert answer["next_steps"] == [{"do": "start it", "why": "mlflow store"}]


def test_a_sound_installation_with_a_champion_is_used(
    shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_checks", lambda home: [])
    assert [step["do"] for step in shell.answer("doctor")["next_steps"]] == [
        *("lmcore status", 'lmcore generate --prompt "..."', "lmcore report"),
    ]
    title, *steps = shell.lines("doctor")[1:]
    assert (title, len(steps)) == ("next:", 3)


def test_a_version_that_is_not_the_locked_one_is_named(
    home: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    assert "no lock file" in module._lock(home)
    (tmp_path / "requirements.lock").write_text("# pins\nno-such-package==1.0\nclick==0.1\n")
    with pytest.raises(RuntimeError, match=r"^1 version not as in .*: click .* 0\.1$"):
        module._lock(home)


def test_the_extra_for_models_that_exist_may_be_missing_but_not_in_part(
    home: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setattr(module, "_OF_PRETRAINED", ("no-such-package",))
    assert module._pretrained(home).startswith("not installed; ")
    monkeypatch.setattr(module, "_OF_PRETRAINED", ("click", "no-such-package"))
    with pytest.raises(RuntimeError, match=r"^no-such-package missing beside click .*; pip inst"):
        module._pretrained(home)
    monkeypatch.setattr(module, "_OF_PRETRAINED", ("click",))
    assert module._pretrained(home) == f"click {metadata.version('click')}"
    (tmp_path / "requirements-pretrained.lock").write_text("click==0.1\nno-such-package==1\n")
    with pytest.raises(RuntimeError, match=r"requirements-pretrained\.lock: click .* of 0\.1$"):
        module._pretrained(home)


def test_prepared_content_is_told_by_kind(home: Any) -> None:
    assert module._content(home) == "nothing is prepared yet"
    for kind, size in (("part", 2000), ("documents", 7000)):
        folder = home.content / kind / "a"
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(size))
    assert module._content(home).startswith("documents 7.0 kB, part 2.0 kB (`lmcore prune")


def test_what_lies_aside_is_counted(home: Any) -> None:
    for store, size in ((home.root, 3000), (home.content, 5000)):
        (store / "broken").write_bytes(bytes(size))
        set_aside(store, store / "broken")
    said = module._damaged(home)
    assert said.startswith("2 damaged files or folders set aside, 8.0 kB (")


def test_a_check_says_in_one_line_what_is_wrong(home: Any) -> None:
    def broken(home: Any) -> str:
        raise OSError("first\n  second")

    assert module._result(module.Check("store", broken, ""), home) == {
        "check": "store",
        "ok": False,
        "detail": "OSError: first second",
    }
    assert module._result(module.Check("home", module._home, ""), home)["ok"] is True
