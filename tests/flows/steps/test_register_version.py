import json
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from flows.home.signals import StepInterrupted, interruptible, polite_signals, stop_requested
from flows.registry.connection import connect
from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.register_version import register_version
from flows.steps.run import Run
from lmcore import version_sketches
from lmcore.data.copies.sketches import sketch_text
from lmcore.evaluation.budget.plan import EvaluationPlan
from lmcore.evaluation.report import EvalReport


def run_of(made: Any, model: str, *, nonce: int) -> Run:
    """What was made, as a run of another model."""
    config = made.run.config.model_copy(update={"name": model})
    return replace(made.run, config=config, key=replace(made.run.key, nonce=nonce))


def test_a_version_holds_all_that_it_was_made_from(made: Any, champion: Version) -> None:
    folder = Registry(made.run.home).open(champion)
    documents = {d.id: d for d in made.documents.iter_documents()}
    rows = list(folder.documents())
    assert {row["id"]: row["split"] for row in rows} == {
        identity: document.split for identity, document in documents.items()
    }
    assert "text" not in rows[0]
    assert dict(folder.sketches()) == {
        identity: sketch_text(document.text).to_bytes() for identity, document in documents.items()
    }
    assert yaml.safe_load(folder.config) == yaml.safe_load(made.run.config.to_yaml())
    assert folder.weights_sha256 == made.checkpoint.summary["weights_sha256"]
    assert folder.forbidden() is None
    text = next(iter(documents.values())).text
    tokenizer = folder.load_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    lineage = folder.lineage()
    for name, key in {
        "documents": made.documents.key,
        "tokenizer": made.corpus.tokenizer.key,
        "shards": made.corpus.shards.key,
        "checkpoint": made.checkpoint.key,
        "run_key": made.run.key.digest,
        "sources": made.run.sources.digest,
    }.items():
        assert lineage[name] == key
    assert (lineage["plan"]["steps"], lineage["start"]["origin"]) == (3, "scratch")
    assert lineage["evaluation_plan"] == EvaluationPlan().model_dump(mode="json")
    assert "base" not in lineage


def test_the_registry_is_told_what_the_gates_said(made: Any, champion: Version) -> None:
    assert (champion.passed, champion.run_id) == (True, made.tracked.run_id)
    assert champion.flow_run_id == "flow-1"
    assert champion.metrics["val_bits_per_byte"]["value"] == 2.5
    assert champion.fingerprints == {
        "data": made.run.key.data,
        "tokenizer": made.corpus.tokenizer.key,
        "config": made.run.key.config,
        "weights": champion.weights_sha256,
    }
    [gate] = champion.gates()
    assert (gate["gate"], gate["outcome"], gate["reason"]) == ("competence", "PASS", "a test")
    assert champion.data()["documents"] == 80
    assert champion.tags["run_base"] == made.run.key.base
    assert "base" not in champion.tags


def test_the_run_keeps_report_gates_and_configuration(made: Any, champion: Version) -> None:
    client = connect(made.run.home)
    names = {file.path for file in client.list_artifacts(made.tracked.run_id)}
    assert names == {"report.html", "gates.json", "config.yaml"}
    [gates] = made.run.home.mlflow_artifacts.glob(f"**/{made.tracked.run_id}/**/gates.json")
    assert json.loads(gates.read_text())[0]["gate"] == "competence"
    # The registry has its own copies, and a second one of what is nowhere else.
    assert not list(made.run.home.work.glob("version-*"))
    assert not list((made.run.store.root / version_sketches.SketchSet.kind).glob("[!.]*"))


def test_what_did_not_pass_is_registered_as_rejected(
    made: Any, report_that: Callable[[str], EvalReport]
) -> None:
    run = run_of(made, "rejected", nonce=1)
    candidate = made.candidate(report_that("FAIL"), run=run)
    version = register_version(candidate, tracked=made.tracked, flow_run_id=None)
    assert (version.outcome, version.passed, version.flow_run_id) == ("rejected", False, None)
    assert "competence" in version.verdict
    assert version.aliases == ()
    # A forced run is known by a name of its own, and by that of the run which it repeats.
    assert (version.run_key, version.tags["run_base"]) == (run.key.digest, made.run.key.base)
    # A run that was killed right after it gets the same one.
    again = register_version(candidate, tracked=made.tracked, flow_run_id=None)
    assert again.number == version.number == 1


def test_a_stop_leaves_what_lies_aside_and_ends_what_is_written_into_the_registry(
    made: Any, report_that: Callable[[str], EvalReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(made, "stopped", nonce=2)
    candidate = made.candidate(report_that("PASS"), run=run)
    registry = Registry(run.home)

    def register() -> Version:
        with interruptible():
            return register_version(candidate, tracked=made.tracked, flow_run_id=None)

    def asked(call: Callable[..., Any]) -> Callable[..., Any]:
        def with_a_signal(*args: Any, **kwargs: Any) -> Any:
            signal.raise_signal(signal.SIGTERM)
            return call(*args, **kwargs)

        return with_a_signal

    with monkeypatch.context() as patch, polite_signals():
        patch.setattr(version_sketches, "sketched", asked(version_sketches.sketched))
        with pytest.raises(StepInterrupted):
            register()
    assert "stopped" not in registry.models()
    assert not list(run.home.work.glob("*version-*"))
    with monkeypatch.context() as patch, polite_signals():
        patch.setattr(Registry, "register", asked(Registry.register))
        version = register()
        assert stop_requested()
    assert [v.number for v in registry.versions("stopped")] == [version.number] == [1]
    with polite_signals():  # forgets it
        assert register().number == 1
