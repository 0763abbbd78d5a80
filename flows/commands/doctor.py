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
from typing import Any

from flows.commands.shared import text
from flows.commands.shared.command import Answer, Values, command
from flows.home.environment import Home, current
from flows.home.folders import PROJECT

_PACKAGES = ("torch", "prefect", "mlflow", "tokenizers", "safetensors", "evaluate", "fastapi")
#: Of the extra `pretrained`, which nobody needs who starts from random weights.
_OF_PRETRAINED = ("transformers", "peft", "accelerate", "gguf")
_LOW_DISK_BYTES = 2 << 30
_SLOW_GFLOPS = 5.0


@command("lmcore doctor")
def doctor() -> Answer:
    """Check what is installed, reachable, writable and fast.

    The exit code is 1 where something is wrong.
    """
    home = current()
    checks: list[tuple[str, Callable[[Home], str]]] = [
        ("python", _python),
        *((name, _package(name)) for name in _PACKAGES),
        ("lock", _lock),
        ("pretrained", _pretrained),
        ("home", _home),
        ("disk", _disk),
        ("damaged", _damaged),
        ("mlflow store", _mlflow),
        ("models", _models),
        ("prefect server", _prefect),
        ("processor", _processor),
        ("training precision", _precision),
    ]
    results = [_result(name, check, home) for name, check in checks]
    healthy = all(result["ok"] for result in results)
    return Answer(
        values={"healthy": healthy, "checks": results},
        text=_text,
        exit_code=0 if healthy else 1,
    )


def _result(name: str, check: Callable[[Home], str], home: Home) -> dict[str, Any]:
    """What a check says; one that fails does not stop the others."""
    start = time.perf_counter()
    try:
        detail, ok = check(home), True
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
        raise RuntimeError(f"{len(different)} differ from requirements.lock: {different[0]}")
    return f"{len(locked)} versions as in requirements.lock"


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

    return f"{home.root} is writable; {described(home.root)}"


def _disk(home: Home) -> str:
    free = shutil.disk_usage(home.root).free
    if free < _LOW_DISK_BYTES:
        raise RuntimeError(f"{free / 2**30:.1f} GiB free at {home.root}; a run needs about 2 GiB")
    return f"{free / 2**30:.0f} GiB free"


def _damaged(home: Home) -> str:
    """What was set aside is told and no fault: whatever it was is put right."""
    from flows.commands.shared.deletion import set_aside_in
    from flows.commands.shared.left_over import UNFINISHED_DAYS
    from flows.registry.artifact_files import path_bytes

    sizes = [path_bytes(path) for path, _ in set_aside_in(home)]
    if not sizes:
        return "nothing lies aside"
    return (
        f"{len(sizes):,} files or folders that were damaged lie aside, {text.size(sum(sizes))}"
        f" (`lmcore history` says which; `lmcore prune` deletes them after {UNFINISHED_DAYS} days)"
    )


def _mlflow(home: Home) -> str:
    from flows.registry.connection import connect

    connect(home)
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
    return f"{len(used)} champions, all files as registered"


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
    return f"{os.cpu_count()} cores, {gflops:.0f} GFLOP/s in float32{device}"


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
