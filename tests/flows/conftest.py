"""Shared by the tests of flows: MLflow without telemetry, and homes with a database at hand."""

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for name in [name for name in os.environ if name.upper().startswith(("MLFLOW_", "PREFECT_"))]:
    del os.environ[name]
os.environ["DO_NOT_TRACK"] = "true"
os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] = "false"  # no test has a server by accident
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["MLFLOW_UV_AUTO_DETECT"] = "false"
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "false"
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "false"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints when it is imported
    import mlflow.pyfunc

from safetensors.torch import load_file, save_file  # noqa: E402

from flows.home.environment import Home, make_home  # noqa: E402
from flows.registry.connection import connect  # noqa: E402
from flows.registry.models import Registry  # noqa: E402
from flows.registry.registration import Registration  # noqa: E402
from flows.registry.tracking import open_run  # noqa: E402
from flows.registry.versions import Version  # noqa: E402
from lmcore.version_assembly import VersionParts, assemble_version  # noqa: E402
from lmcore.version_folder import VersionFolder  # noqa: E402


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; creating one takes seconds, copying it none."""
    home = make_home(tmp_path_factory.mktemp("template"))
    connect(home)
    return home.mlflow_database


@pytest.fixture
def new_home(tmp_path: Path, mlflow_template: Path) -> Callable[[str], Home]:
    def make(name: str) -> Home:
        home = make_home(tmp_path / name)
        shutil.copy(mlflow_template, home.mlflow_database)
        return home

    return make


@pytest.fixture
def home(new_home: Callable[[str], Home]) -> Home:
    return new_home("home")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few thousand weights and a byte tokenizer, as training leaves them."""
    import torch

    from lmcore.data.config import TokenizerConfig
    from lmcore.data.tokens.tokenizer import train_tokenizer
    from lmcore.model.config import ModelConfig
    from lmcore.model.language_model import RecurrentAttentionLM, save_model

    folder = tmp_path_factory.mktemp("tiny")
    for name in ("best", "tokenizer", "evaluation"):
        (folder / name).mkdir()
    tokenizer = train_tokenizer(["text"], config=TokenizerConfig(kind="byte"))
    tokenizer.save(folder / "tokenizer")
    torch.manual_seed(0)
    config = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=8)
    model = RecurrentAttentionLM(config, tokenizer.vocab_size, tokenizer.end_id)
    save_model(model, folder / "best")
    (folder / "evaluation" / "gates.json").write_text("[]")
    return folder


@pytest.fixture(scope="session")
def assemble_in(tiny_model: Path) -> Callable[..., VersionFolder]:
    """Assemble a version in a folder; with a `seed`, of other weights."""

    def assemble(root: Path, name: str = "version", *, seed: int = 0) -> VersionFolder:
        best = tiny_model / "best"
        if seed:
            best = root / f"best-{seed}"
            shutil.copytree(tiny_model / "best", best)
            weights = load_file(best / "model.safetensors")
            save_file({k: v + seed / 1000 for k, v in weights.items()}, best / "model.safetensors")
        document = {"id": "a" * 64, "name": "1801.txt", "source": 0, "license": "CC0-1.0"}
        document |= {"origin": "speeches", "num_bytes": 4, "split": "train", "cluster": "a" * 64}
        return assemble_version(
            root / name,
            VersionParts(
                best=best,
                tokenizer=tiny_model / "tokenizer",
                evaluation=tiny_model / "evaluation",
                documents=[{**document, "text": "SECRET", "date": None, "anchor": False}],
                sources=[{"license": "CC0-1.0"}],
                config="name: speeches\n",
                report="<!doctype html>",
                card="# speeches",
                lineage={"data": "d" * 64, "plan": {"steps": 3}},
                summary={"model": "speeches"},
            ),
        )

    return assemble


@pytest.fixture(scope="session")
def register_in() -> Callable[..., Version]:
    """Register a folder as a version that passed, unless told otherwise."""

    def register(registry: Registry, folder: VersionFolder, **changes: Any) -> Version:
        name = changes.pop("name", "speeches")
        run_key = changes.get("run_key", "key")
        if "run_id" not in changes:
            run = open_run(registry.home, model=name, run_key=run_key, name="run")
            changes["run_id"] = run.run_id
        details: dict[str, Any] = {
            "run_key": run_key,
            "passed": True,
            "verdict": "PASS",
            "metrics": {},
            "fingerprints": {"data": "d"},
            "flow_run_id": "flow-1",
        }
        return registry.register(name, folder, Registration(**{**details, **changes}))

    return register


@pytest.fixture
def load_with_mlflow() -> Callable[[Home, str], mlflow.pyfunc.PyFuncModel]:
    """Load a version as a program does that knows MLflow alone."""

    def load(home: Home, uri: str) -> mlflow.pyfunc.PyFuncModel:
        mlflow.set_tracking_uri(home.tracking_uri)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return mlflow.pyfunc.load_model(uri)

    return load


@pytest.fixture
def version_folder(tmp_path: Path, assemble_in: Callable[..., VersionFolder]) -> VersionFolder:
    return assemble_in(tmp_path)


@pytest.fixture
def registry(home: Home) -> Registry:
    return Registry(home)


@pytest.fixture
def register(
    registry: Registry,
    version_folder: VersionFolder,
    register_in: Callable[..., Version],
) -> Callable[..., Version]:
    """Register the folder of the test, or another."""

    def make(folder: VersionFolder | None = None, **changes: Any) -> Version:
        return register_in(registry, folder or version_folder, **changes)

    return make
