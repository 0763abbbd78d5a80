"""Shared by the tests of flows: MLflow without telemetry, and homes with a database at hand.

And one run of the steps over a corpus so small that all of it takes a second or two; what imports
Prefect is imported when that run is asked for.
"""

from __future__ import annotations

import os
import random
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

from lmcore_shell import Shell  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from flows.home.environment import Home, make_home  # noqa: E402
from flows.registry.connection import connect  # noqa: E402
from flows.registry.models import Registry  # noqa: E402
from flows.registry.registration import Registration  # noqa: E402
from flows.registry.tracking import TrackedRun, open_run  # noqa: E402
from flows.registry.versions import Version  # noqa: E402
from lmcore.config import RunConfig, parse_config  # noqa: E402
from lmcore.content_store import ContentStore  # noqa: E402
from lmcore.evaluation.report import EvalReport, write_json  # noqa: E402
from lmcore.training.start import Start, from_scratch  # noqa: E402
from lmcore.version_assembly import VersionParts, assemble_version  # noqa: E402
from lmcore.version_folder import VersionFolder  # noqa: E402

if TYPE_CHECKING:
    from flows.steps.candidate import Candidate
    from flows.steps.run import Run
    from lmcore.data.documents import DocumentSet
    from lmcore.data.tokens.corpus import Corpus
    from lmcore.model.pretrained.base import Base
    from lmcore.training.checkpoint import Checkpoint

_MAKE_PREFECT_DATABASE = """
import asyncio
from flows.home.environment import prepare
prepare()
from prefect.server.database import provide_database_interface
asyncio.run(provide_database_interface().create_db())
"""
DOCUMENT = {"id": "a" * 64, "name": "1801.txt", "source": 0, "license": "CC0-1.0"}
DOCUMENT |= {"origin": "speeches", "num_bytes": 4, "split": "train", "cluster": "a" * 64}
METRICS = {"val_bits_per_byte": {"value": 2.5, "lower": 2.25, "upper": 2.75, "unit": "bits/byte"}}


@pytest.fixture(autouse=True)
def _nobody_asked_to_stop() -> None:
    """What a test before this one asked for in the same process is forgotten, as a command does."""
    from flows.home.signals import polite_signals

    with polite_signals():
        pass


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; creating one takes seconds, copying it none."""
    home = make_home(tmp_path_factory.mktemp("template"))
    connect(home)
    return home.mlflow_database


@pytest.fixture(scope="session")
def prefect_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of Prefect's server, likewise."""
    shell = Shell(tmp_path_factory.mktemp("prefect-template"))
    done = shell.python("-c", _MAKE_PREFECT_DATABASE)
    assert done.code == 0, done.err
    return shell.home / "prefect" / "prefect.db"


@pytest.fixture(scope="session")
def begun(mlflow_template: Path, prefect_template: Path) -> Callable[[Shell], Shell]:
    """Give a shell a home with empty databases, where what is tested is not how they come about."""

    def begin(shell: Shell) -> Shell:
        home = make_home(shell.home)
        shutil.copy(mlflow_template, home.mlflow_database)
        shutil.copy(prefect_template, home.prefect / "prefect.db")
        return shell

    return begin


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
    from lmcore.model.factory import save_model
    from lmcore.model.recurrent.model import RecurrentAttentionLM

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
    """Assemble a version in a folder; with a `seed`, of other weights; with more lineage."""

    def assemble(
        root: Path, name: str = "version", *, seed: int = 0, **lineage: Any
    ) -> VersionFolder:
        best = tiny_model / "best"
        if seed:
            best = root / f"best-{seed}"
            shutil.copytree(tiny_model / "best", best)
            weights = load_file(best / "model.safetensors")
            save_file({k: v + seed / 1000 for k, v in weights.items()}, best / "model.safetensors")
        return assemble_version(
            root / name,
            VersionParts(
                best=best,
                tokenizer=tiny_model / "tokenizer",
                evaluation=tiny_model / "evaluation",
                documents=[{**DOCUMENT, "text": "SECRET", "date": None, "anchor": False}],
                sources=[{"license": "CC0-1.0"}],
                config="name: speeches\n",
                report="<!doctype html>",
                card="# speeches",
                lineage={"data": "d" * 64, "plan": {"steps": 3}, **lineage},
                summary={"model": "speeches"},
            ),
        )

    return assemble


@pytest.fixture(scope="session")
def fine_tuned_in(tiny_model: Path) -> Callable[..., VersionFolder]:
    """Assemble a version in a folder that was made from a pretrained model."""

    def assemble(root: Path, base: Base, name: str = "version", *, seed: int = 0) -> VersionFolder:
        from pretrained_models import write_fine_tuned

        from lmcore.data.tokens.borrowing import borrow_tokenizer

        best = write_fine_tuned(base, root / f"best-{name}", seed=seed)
        tokenizer = borrow_tokenizer(ContentStore(root / "tokenizers"), base.path, base.key)
        return assemble_version(
            root / name,
            VersionParts(
                best=best,
                tokenizer=tokenizer.path,
                evaluation=tiny_model / "evaluation",
                documents=[{**DOCUMENT, "date": None, "anchor": False}],
                sources=[{"license": "CC0-1.0", "origin": "speeches", "documents": 1, "bytes": 4}],
                config="name: speeches\n",
                report="<!doctype html>",
                card="# speeches",
                lineage={"data": "d" * 64, "plan": {"steps": 3}, "pretrained": base.lineage()},
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


def lines(count: int) -> str:
    """Lines of words, no two alike."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefgh", k=5)) for _ in range(400)]
    return "".join(f"{' '.join(rng.choices(words, k=40))}\n" for _ in range(count))


@pytest.fixture(scope="session")
def make_lines() -> Callable[[int], str]:
    """As many lines of text, one a document."""
    return lines


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunConfig]:
    """The configuration of the run, with changes by section."""
    path = tmp_path_factory.mktemp("texts") / "lines.txt"
    path.write_text(lines(80))
    source = {"path": str(path), "format": "lines", "license": "CC0-1.0", "origin": "a test"}
    values: dict[str, Any] = {
        "name": "lines",
        "sources": [source],
        "tokenizer": {"kind": "byte"},
        "model": {"pattern": "LA", "d_model": 16, "num_heads": 1, "head_dim": 8, "window": 8},
        "training": {
            "max_steps": 3,
            "batch_size": 4,
            "sequence_length": 16,
            "evaluations": 1,
            "warmup_steps": 1,
            "precision": "float32",
        },
        "policy": {"canaries": "off"},
    }

    def make(**changes: Any) -> RunConfig:
        new = dict(values)
        for section, change in changes.items():
            new[section] = (
                {**values.get(section, {}), **change} if isinstance(change, dict) else change
            )
        return parse_config(new, where="test")

    return make


@dataclass(frozen=True, kw_only=True)
class Made:
    """What the steps made, and what training said of itself.

    Attributes:
        left: A copy of the home as it was then, whatever is done in it later.
    """

    left: Path
    run: Run
    documents: DocumentSet
    corpus: Corpus
    start: Start
    checkpoint: Checkpoint
    tracked: TrackedRun

    def candidate(self, report: EvalReport, **changes: Any) -> Candidate:
        """To become a version."""
        from flows.steps.candidate import Candidate

        values = {"run": self.run, "corpus": self.corpus, "start": self.start}
        values |= {"checkpoint": self.checkpoint, "report": report, "champion": None}
        return Candidate(**{**values, "seconds": {"train": 1.0}, **changes})


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_template: Path,
    small_config: Callable[..., RunConfig],
) -> Made:
    from flows.steps.begin_run import begin_run
    from flows.steps.ingest_documents import fingerprint, ingest_documents
    from flows.steps.tokenize_documents import tokenize_documents
    from flows.steps.train_model import trained

    home = make_home(tmp_path_factory.mktemp("made"))
    shutil.copy(mlflow_template, home.mlflow_database)
    config = small_config()
    run = begin_run(config, home=home, sources=fingerprint(config))
    documents = ingest_documents(config, run.sources, home)
    start = from_scratch("training.start is scratch")
    corpus = tokenize_documents(config, documents, home, start)
    tracked = open_run(home, model=config.name, run_key=run.key.digest, name="run")
    # Not `train_model`, whose progress is shown by Prefect.
    checkpoint = trained(config, corpus, home, start=start, base=None, on_event=lambda event: None)
    left = tmp_path_factory.mktemp("left") / "home"
    shutil.copytree(home.root, left)
    return Made(
        left=left,
        run=run,
        documents=documents,
        corpus=corpus,
        start=start,
        checkpoint=checkpoint,
        tracked=tracked,
    )


@pytest.fixture(scope="session")
def champion(made: Made, report_that: Callable[[str], EvalReport]) -> Version:
    """What was made, registered as a version that passed, and promoted."""
    from flows.steps.promote_version import promote_version
    from flows.steps.register_version import register_version

    candidate = made.candidate(report_that("PASS"))
    version = register_version(candidate, tracked=made.tracked, flow_run_id="flow-1")
    promote_version(made.run, version, judged_against=None)
    return Registry(made.run.home).version(version.model, version.number)


@pytest.fixture(scope="session")
def report_that(made: Made) -> Callable[..., EvalReport]:
    """What an evaluation leaves whose one gate says this."""

    def make(outcome: str) -> EvalReport:
        gate = {"gate": "competence", "required": True, "outcome": outcome, "reason": "a test"}
        files = {"gates": [gate], "metrics": METRICS, "samples": []}

        def write(folder: Path) -> dict[str, Any]:
            for name, value in files.items():
                (folder / f"{name}.json").write_text(write_json(value))
            return {}

        return ContentStore(made.run.home.content).build(EvalReport, {"outcome": outcome}, write)

    return make
