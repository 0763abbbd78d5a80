"""`lmcore doctor`: what is installed, reachable, writable and fast."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.commands.shared import text
from flows.commands.shared.command import Answer, Values, command
from flows.commands.shared.next_steps import next_steps
from flows.home.environment import Home, current
from flows.home.folders import PROJECT
from flows.progress.job import current as current_job
from lmcore.counted import counted
from lmcore.mending import DAMAGED

if TYPE_CHECKING:
    from flows.registry.glance import GlancedModel

_PACKAGES = ("torch", "prefect", "mlflow", "tokenizers", "safetensors", "evaluate", "fastapi")
#: Of the extra `pretrained`, which nobody needs who starts from random weights.
_OF_PRETRAINED = ("transformers", "peft", "accelerate", "gguf")
_OTHER_PYTHON = "make the environment with Python 3.11: delete .venv, `make PYTHON=python3.11 run`"
_INSTALL = "install it as it was locked: delete .venv, and give `make run` again"
_STORE = "restore LMCORE_HOME from a backup, or set LMCORE_HOME to another folder"
_MLFLOW_SERVER = "start the server that MLFLOW_TRACKING_URI names, or unset it"
_PREFECT_SERVER = "start the server that PREFECT_API_URL names, or unset it"
_PREFECT = "end other commands that work in LMCORE_HOME, and look again"
_MODELS = "go back with `lmcore rollback --reason TEXT`, or restore LMCORE_HOME from a backup"
_SLOW = "close what else runs, or give training more: `--set training.budget_seconds=600`"
_LOW_DISK_BYTES = 2 << 30
_SLOW_GFLOPS = 5.0


@command("lmcore doctor", makes_home=False)
def doctor() -> Answer:
    """Check what is installed, reachable, writable and fast.

    It ends with what to do next. The exit code is 1 where something is wrong.
    """
    home = current()
    checks = _checks(home)
    results = []
    for done, check in enumerate(checks):
        current_job().count(check.name, done, len(checks), unit="checks")
        results.append(_result(check, home))
    failed = {
        check.name: check for check, found in zip(checks, results, strict=True) if not found["ok"]
    }
    remedies = [check for check in failed.values() if check.needs not in failed]
    return Answer(
        values={
            "healthy": not failed,
            "checks": results,
            "next_steps": [{"do": check.remedy, "why": check.name} for check in remedies]
            or [{"do": step.line, "why": step.purpose} for step in next_steps(_registered(home))],
        },
        text=_text,
        exit_code=1 if failed else 0,
    )


def _checks(home: Home) -> list[Check]:
    return [
        Check("python", _python, _OTHER_PYTHON),
        *(Check(name, _package(name), _INSTALL) for name in _PACKAGES),
        Check("lock", _lock, _INSTALL),
        Check("pretrained", _pretrained, "install them: `make pretrained`, or what is named above"),
        Check("home", _home, "set LMCORE_HOME to a folder that you may write"),
        Check("disk", _disk, "make room, or set LMCORE_HOME to a folder on another disk"),
        Check("content", _content, "restore LMCORE_HOME from a backup, or delete its `content`"),
        Check("damaged", _damaged, "look at `lmcore history`, which says what was found damaged"),
        Check("mlflow store", _mlflow, _STORE if home.embedded else _MLFLOW_SERVER),
        Check("models", _models, _MODELS, needs="mlflow store"),
        Check("prefect server", _prefect, _PREFECT_SERVER if home.prefect_api_url else _PREFECT),
        Check("processor", _processor, _SLOW),
        Check("training precision", _precision, _INSTALL),
    ]


class Check(NamedTuple):
    """Something that is looked at.

    Attributes:
        name: In the answer.
        look: Says how it is; raises where it is wrong.
        remedy: The first thing to do where it is wrong.
        needs: Another check; where that fails too, its remedy comes first.
    """

    name: str
    look: Callable[[Home], str]
    remedy: str
    needs: str = ""


def _registered(home: Home) -> list[GlancedModel]:
    from flows.registry.glance import glance_at
    from flows.registry.records import records_of

    return glance_at(records_of(home))


def _result(check: Check, home: Home) -> dict[str, Any]:
    """What a check says; one that fails does not stop the others."""
    name, start = check.name, time.perf_counter()
    try:
        detail, ok = check.look(home), True
    except Exception as error:  # a broken installation may raise anything
        detail, ok = f"{type(error).__name__}: {error}", False
    seconds = time.perf_counter() - start
    if seconds >= 0.5:
        detail += f" ({seconds:.1f} s)"
    return {"check": name, "ok": ok, "detail": " ".join(detail.split())}


def _text(answer: Values) -> None:
    for check in answer["checks"]:
        mark = text.styled("ok  ", "green") if check["ok"] else text.styled("FAIL", "red")
        text.line(mark, f" {check['check']:<22} {check['detail']}")
    text.line()
    text.title("next:" if answer["healthy"] else "to do:")
    first, then = ("do", "why") if answer["healthy"] else ("why", "do")
    width = max(len(step[first]) for step in answer["next_steps"])
    for step in answer["next_steps"]:
        text.line(f"  {step[first]:<{width}}   {step[then]}")


def _python(home: Home) -> str:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] != (3, 11):
        raise RuntimeError(f"{version}; expected 3.11, for which every version is locked")
    return version


def _package(name: str) -> Callable[[Home], str]:
    return lambda home: importlib.metadata.version(name)


def _lock(home: Home) -> str:
    locked = _locked("requirements.lock")
    if not locked:
        return "no lock file beside the installed package; versions are not compared"
    if different := _different(locked):
        raise RuntimeError(
            f"{counted(len(different), 'version')} not as in requirements.lock: {different[0]}"
        )
    return f"{counted(len(locked), 'version')} as in requirements.lock"


def _pretrained(home: Home) -> str:
    found = {}
    for name in _OF_PRETRAINED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    if not found:
        return "not installed; to start from a model that exists: pip install 'lmcore[pretrained]'"
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    if missing := [name for name in _OF_PRETRAINED if name not in found]:
        raise RuntimeError(
            f"{', '.join(missing)} missing beside {versions}; pip install 'lmcore[pretrained]'"
        )
    locked = {n: v for n, v in _locked("requirements-pretrained.lock").items() if n in found}
    if different := _different(locked):
        raise RuntimeError(f"differ from requirements-pretrained.lock: {', '.join(different)}")
    return versions


def _locked(name: str) -> dict[str, str]:
    """Versions by package in a lock file; none where it is not beside the installed project."""
    lock = PROJECT / name
    if not lock.exists():
        return {}
    pins = re.findall(
        r"^([A-Za-z0-9][\w.-]*)==([^\s;+]+)", lock.read_text(encoding="utf-8"), re.MULTILINE
    )
    return dict(pins)


def _different(locked: Mapping[str, str]) -> list[str]:
    different = []
    for name, version in locked.items():
        # A tool for development may be missing; what a run needs is checked by name above.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found = importlib.metadata.version(name).partition("+")[0]
            if found != version:
                different.append(f"{name} {found} instead of {version}")
    return different


def _home(home: Home) -> str:
    from flows.home.access import described

    if home.stands_for:
        return f"{home.place} does not exist yet; `lmcore run` makes it"
    return f"{home.root} is writable; {described(home.root)}"


def _disk(home: Home) -> str:
    there = next(path for path in (home.place, *home.place.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < _LOW_DISK_BYTES:
        raise RuntimeError(f"{free / 2**30:.1f} GiB free at {home.place}; a run needs about 2 GiB")
    return f"{free / 2**30:.0f} GiB free"


def _content(home: Home) -> str:
    """What was prepared for trainings and may be made again, by kind, the most first."""
    from flows.registry.artifact_files import freed_bytes

    if not home.content.is_dir():
        return "nothing is prepared yet"
    kinds = [path for path in home.content.iterdir() if path.is_dir() and path.name != DAMAGED]
    sizes = {path.name: freed_bytes(path) for path in kinds}
    told = [
        f"{kind} {text.size(size)}" for kind, size in sorted(sizes.items(), key=lambda i: -i[1])
    ]
    if not told:
        return "nothing is prepared yet"
    return f"{', '.join(told)} (`lmcore prune --keep N` deletes what no kept version names)"


def _damaged(home: Home) -> str:
    """What was set aside is told and no fault: whatever it was is put right."""
    from flows.registry.artifact_files import freed_bytes
    from flows.retention.deletion import set_aside_in
    from flows.retention.left_over import UNFINISHED_DAYS

    sizes = [freed_bytes(path) for path, _ in set_aside_in(home)]
    if not sizes:
        return "nothing lies aside"
    return (
        f"{counted(len(sizes), 'damaged file or folder', 'damaged files or folders')} set aside,"
        f" {text.size(sum(sizes))}"
        f" (`lmcore history` says which; `lmcore prune` deletes them after {UNFINISHED_DAYS} days)"
    )


def _mlflow(home: Home) -> str:
    from flows.registry.connection import connect

    connect(home)
    if home.stands_for:
        return "works, in a folder that was made for this look and is gone after it"
    return home.tracking_uri


def _models(home: Home) -> str:
    from flows.registry.models import Registry

    registry = Registry(home)
    used = [
        registry.version(n, "champion")
        for n in registry.models()
        if registry.aliases(n).get("champion")
    ]
    for version in used:
        registry.read(version)
    return f"{counted(len(used), 'champion')}, all files as registered" if used else "no champion"


def _prefect(home: Home) -> str:
    from flows.servers.prefect_server import PrefectServer

    with PrefectServer(home) as server:
        server.wait()
        return home.prefect_api_url or "a server starts for each run"


def _processor(home: Home) -> str:
    import torch

    size = 768
    matrix = torch.ones(size, size)
    matrix @ matrix
    start = time.perf_counter()
    for _ in range(20):
        matrix @ matrix
    gflops = 20 * 2 * size**3 / (time.perf_counter() - start) / 1e9
    if gflops < _SLOW_GFLOPS:
        raise RuntimeError(f"{gflops:.1f} GFLOP/s in float32; budgets will train very little")
    device = f", CUDA {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{counted(os.cpu_count() or 1, 'core')}, {gflops:.0f} GFLOP/s in float32{device}"


def _precision(home: Home) -> str:
    import torch

    inputs = torch.ones(32, 64, 64)
    layer = torch.nn.LSTM(64, 64, batch_first=True)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            layer(inputs)[0].sum().backward()
    except RuntimeError as error:
        return f"float32 (bfloat16 does not work here: {str(error).splitlines()[0]})"
    return "bfloat16 works; each run measures whether it is faster"
