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
from lmcore.errors import UserError
from lmcore.evaluation.scores.table import ScoreTable

Documents = Sequence[tuple[str, float]]


class Versions:
    """Stands for the registry: version N has its evaluation in a folder N."""

    def __init__(self, root: Path, task: str) -> None:
        self.root, self.task = root, task

    def version(self, name: str, which: str) -> Any:
        return SimpleNamespace(model=name, number=int(which), task=self.task)

    def read(self, version: Any) -> Any:
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


def write_predictions(
    folder: Path, documents: Documents, *, way: str = "", output: str = "it is"
) -> None:
    rows = [{"id": i, "cluster": i, "quality": q, "output": output} for i, q in documents]
    table = pa.Table.from_pylist(rows).replace_schema_metadata({"quality": way} if way else None)
    pq.write_table(table, folder / "predictions.parquet")


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
    assert "held out 1 document in common; at least 2" in str(done.exception)


@pytest.mark.parametrize(
    ("task", "way", "output", "compared"),
    [
        ("summarization", "tok:unicode-words", "it is", True),
        ("summarization", "tok:unicode-words", "это", False),
        ("translation", "chrF", "это", True),
    ],
)
def test_figures_of_the_last_release_are_compared_where_they_mean_the_same(
    ask: Any, tmp_path: Path, task: str, way: str, output: str, compared: bool
) -> None:
    assert ask(task, SOME, SOME).exit_code == 0
    write_predictions(tmp_path / "2", SOME, way=way, output=output)
    answer = CliRunner().invoke(compare, ["1", "2"])
    assert (answer.exit_code == 0) is compared
    if not compared:
        assert "version 1 by ROUGE of ASCII letters and version 2 by tok" in str(answer.exception)


def test_figures_that_were_measured_in_two_ways_are_not_compared(ask: Any, tmp_path: Path) -> None:
    ask("translation", SOME, SOME)
    for number in (1, 2):
        write_predictions(tmp_path / str(number), SOME, way=f"way {number}")
    answer = CliRunner().invoke(compare, ["1", "2"])
    assert isinstance(answer.exception, UserError)
    assert "version 1 by way 1 and version 2 by way 2" in str(answer.exception)
