"""What becomes of versions that were made from a pretrained model: forgotten, fetched, refused."""

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any

import pipeline_corpus as corpus
import pytest

pytest.importorskip("transformers")
from lmcore_shell import Session, Shell
from pretrained_models import write_library_folder

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

CONFIG = """\
name: stories
sources:
  - {path: "stories-*.jsonl", license: CC0-1.0, origin: made by a test}
model: {pretrained: small, rank: 2, context: 64, license: Apache-2.0, known_until: 2024-12-31}
training:
  start: champion
  max_steps: 8
  batch_size: 4
  sequence_length: 64
  learning_rate: 0.003
  warmup_steps: 2
  evaluations: 1
  precision: float32
gates:
  evaluation: {resamples: 1000, free_samples: 8, free_sample_tokens: 50}
  champion: {seed_sigma_bits_per_byte: 0.002}
"""


def test_a_version_answers_for_what_it_was_made_from(
    tmp_path: Path, begun: Callable[[Shell], Shell]
) -> None:
    corpus.write_corpus(tmp_path)
    (tmp_path / "lmcore.yaml").write_text(CONFIG)
    write_library_folder(tmp_path / "small", "llama")
    shell = begun(Shell(tmp_path))
    with shell.opened() as session:
        forgotten(session, tmp_path)
        fetched(session, shell.home)
        refused(session)


def run(lmcore: Session, *more: str) -> dict[str, Any]:
    """A run of the pipeline, which never passes: the model is made of random numbers."""
    return lmcore.run("run", "--config", "lmcore.yaml", *more, code=3)


def start_of(lmcore: Session, version: int) -> dict[str, Any]:
    found: dict[str, Any] = lmcore.run("show", str(version))["lineage"]["start"]
    return found


def forgotten(lmcore: Session, folder: Path) -> None:
    """What went on from a champion that met a text starts from the pretrained model again."""
    run(lmcore)
    assert start_of(lmcore, 1)["origin"] == "scratch"
    lmcore.run("promote", "1", "--override", "--reason", "a person wants it")
    run(lmcore, "--force")
    assert (start_of(lmcore, 2)["origin"], start_of(lmcore, 2)["version"]) == ("champion", 1)
    lmcore.run("promote", "2", "--override", "--reason", "a person wants it")

    rows = lmcore.run("lineage", "2", "--documents", "200")["list"]
    learnt = next(row for row in rows if row["split"] == "train")
    number = int(learnt["name"].rpartition(":")[2])
    (folder / "letter.txt").write_text(corpus.document(number - 1))
    seen = lmcore.run("seen", "letter.txt")
    assert [version["version"] for version in seen["versions"]] == [1, 2]
    assert seen["unrecorded"][0]["versions"] == [1, 2]
    lmcore.run("forget", "letter.txt", "--reason", "asked by its author")
    run(lmcore)
    start = start_of(lmcore, 3)
    assert start["origin"] == "scratch"
    assert "no longer in the training text" in start["reason"]
    later = lmcore.run("lineage", "3", "--documents", "200")
    assert learnt["id"] not in {row["id"] for row in later["list"]}
    assert later["pretrained"]["registered"] == "base-small version 1"
    # The pretrained model, its sources and its plan are all that it takes.
    rebuilt = lmcore.run("reproduce", "3")
    assert (rebuilt["mismatches"], rebuilt["identical"]) == ([], True)


def fetched(lmcore: Session, home: Path) -> None:
    """One copy in the registry serves all versions, wherever else it was deleted."""
    assert [model["model"] for model in lmcore.run("status")["models"]] == ["stories"]
    assert len(list((home / "mlflow" / "artifacts").glob("**/data/base"))) == 1
    rmtree(home / "content" / "pretrained")
    assert lmcore.run("rollback", "--reason", "liked better")["champion"] == 1
    assert lmcore.run("generate", "--prompt", "Alexandria", "--max-tokens", "4")["version"] == 1
    assert len(list((home / "content" / "pretrained").glob("[!.]*"))) == 1
    assert lmcore.run("prune", "--keep", "3", "--dry-run")["bases"] == []


def refused(lmcore: Session) -> None:
    """A licence that nobody stated, under the policy for text; then nothing is left to open."""
    answer = run(lmcore, "--set", "model.license=unknown")
    (gate,) = (gate for gate in answer["gates"] if gate["gate"] == "provenance")
    assert gate["outcome"] == "FAIL"
    assert "state it as model.license" in gate["reason"]
