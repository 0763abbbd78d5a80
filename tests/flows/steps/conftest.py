"""One run of the steps over a corpus so small that all of it takes a second or two."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.home.environment import make_home
from flows.registry.models import Registry
from flows.registry.tracking import TrackedRun, open_run
from flows.registry.versions import Version
from flows.steps.begin_run import begin_run
from flows.steps.ingest_documents import fingerprint, ingest_documents
from flows.steps.promote_version import promote_version
from flows.steps.register_version import Candidate, register_version
from flows.steps.run import Run
from flows.steps.tokenize_documents import tokenize_documents
from flows.steps.train_model import trained
from lmcore.artifacts import ContentStore
from lmcore.config import RunConfig, parse_config
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.report import EvalReport, write_json
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.start import Start, from_scratch

METRICS = {"val_bits_per_byte": {"value": 2.5, "lower": 2.25, "upper": 2.75, "unit": "bits/byte"}}


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
    """What the steps made, and what training said of itself."""

    run: Run
    documents: DocumentSet
    corpus: Corpus
    start: Start
    checkpoint: Checkpoint
    tracked: TrackedRun

    def candidate(self, report: EvalReport, **changes: Any) -> Candidate:
        """To become a version."""
        values = {"run": self.run, "corpus": self.corpus, "start": self.start}
        values |= {"checkpoint": self.checkpoint, "report": report, "champion": None}
        return Candidate(**{**values, "seconds": {"train": 1.0}, **changes})


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_template: Path,
    small_config: Callable[..., RunConfig],
) -> Made:
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
    return Made(
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
