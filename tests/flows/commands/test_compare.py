"""Two versions are paired on what both held out, and the better one is named."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from flows.commands.compare import compare
from flows.commands.shared import models
from flows.home import environment
from flows.home.environment import make_home
from lmcore.evaluation.scores.table import ScoreTable

Documents = Sequence[tuple[str, float]]


class Versions:
    """Stands for the registry: version N has its evaluation in a folder N."""

    def __init__(self, root: Path, task: str) -> None:
        self.root, self.task = root, task

    def version(self, name: str, which: str) -> Any:
        return SimpleNamespace(model=name, number=int(which), task=self.task)

    def open(self, version: Any) -> Any:
        return SimpleNamespace(evaluation=self.root / str(version.number))


def write_scores(folder: Path, documents: Documents) -> None:
    facts = [
        SimpleNamespace(
            **{"id": i, "cluster": i, "name": i, "split": "validation", "source": 0},
            **{"license": "CC0-1.0", "num_bytes": 100, "anchor": False},
        )
        for i, _ in documents
    ]
    nats = [bits * 100 * np.log(2) for _, bits in documents]
    table = ScoreTable.of(facts, num_tokens=[50] * len(facts), nll_nats=nats)
    table.to_parquet(folder / "scores-validation.parquet")


def write_predictions(folder: Path, documents: Documents) -> None:
    rows = [{"id": i, "cluster": i, "quality": quality} for i, quality in documents]
    pq.write_table(pa.Table.from_pylist(rows), folder / "predictions.parquet")


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def call(task: str, one: Documents, two: Documents, *options: str) -> Any:
        for number, documents in enumerate((one, two), start=1):
            (tmp_path / str(number)).mkdir()
            write = write_scores if task == "language_modelling" else write_predictions
            write(tmp_path / str(number), documents)
        monkeypatch.setattr(environment, "_prepared", make_home(tmp_path / "home"))
        monkeypatch.setattr(models, "settled", lambda model: (Versions(tmp_path, task), "speeches"))
        return CliRunner().invoke(compare, ["1", "2", *options])

    return call


SOME = [(f"d{i}", 1.0 + i / 10) for i in range(8)]


@pytest.mark.parametrize(("task", "better"), [("language_modelling", 1), ("translation", 2)])
def test_less_bits_and_more_quality_are_better(ask: Any, task: str, better: int) -> None:
    more = [(i, value + 0.5) for i, value in SOME] + [("only here", 9.0)]
    answer = json.loads(ask(task, SOME, more, "--json").stdout)
    assert answer["sentence"] == f"Version {better} is better than version {3 - better}."
    assert answer["documents"] == 8
    measure = "bits_per_byte" if task == "language_modelling" else "quality"
    assert answer["first"][measure]["value"] == pytest.approx(1.35)
    assert answer["second"][measure]["value"] == pytest.approx(1.85)
    assert answer["difference"]["value"] == pytest.approx(-0.5)


def test_what_is_not_certain_is_said_so(ask: Any) -> None:
    other = [(i, value + (-1) ** n * 0.1) for n, (i, value) in enumerate(SOME)]
    shown = ask("sentiment", SOME, other).stdout.splitlines()
    assert shown[0] == "No difference between versions 1 and 2 is certain."
    assert "probability of the right label over 8 documents" in shown[3]


def test_versions_that_share_no_documents_cannot_be_compared(ask: Any) -> None:
    done = ask("language_modelling", SOME, [("d1", 1.0), ("other", 1.0)])
    assert "held out 1 documents in common; at least 2" in str(done.exception)
