"""A model that was made from a pretrained one, judged: beside itself untouched, on later text."""

import dataclasses
import gc
import random
import shutil
import weakref

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from lmcore.evaluation import questions, sides
from lmcore.evaluation.baselines import untouched
from lmcore.evaluation.gates import champion
from lmcore.model.factory import save_model
from lmcore.model.language_model import learnt, restore

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def report(begun):
    return begun.evaluate()


def gate(report, name):
    return next(r for r in report.verdict().results if r.gate == name)


def test_it_is_better_than_the_untouched_model_on_later_documents(report, begun):
    found = gate(report, "competence")
    table = report.scores("untouched")
    assert table.id.tolist() == report.scores("validation").id.tolist()
    assert found.evidence["differences"].keys() == {"untouched", "kn5", "kn6", "kn8"}
    assert found.evidence["differences"]["untouched"]["upper"] < 0
    # Twenty-two of the twenty-four: one has no date, one is of the very last day.
    assert found.evidence["unread"] == {
        "known_until": "2024-12-31",
        "later_documents": 22,
        "documents": 24,
        "judged_on_later": True,
    }
    assert "of the model that it began with, untouched, on the same 22 documents" in found.reason


def test_what_it_began_with_says_how_hard_text_is(report):
    for side, other in (("validation", "untouched"), ("train", "reference-train")):
        reference = report.scores(f"reference-{side}")
        assert reference.id.tolist() == report.scores(other).id.tolist()
    np.testing.assert_array_equal(
        report.scores("reference-validation").nll_nats, report.scores("untouched").nll_nats
    )
    # On what it learnt from the candidate is better, of the same tokens and bytes.
    train, reference = report.scores("train"), report.scores("reference-train")
    np.testing.assert_array_equal(train.num_bytes, reference.num_bytes)
    np.testing.assert_array_equal(train.num_tokens, reference.num_tokens)
    assert train.total_bits_per_byte() < reference.total_bits_per_byte()


def disordered(text):
    """A few of its words in an order that nothing tells: there is nothing to learn but itself."""
    return " ".join(random.Random(text).sample(text.split(), 12))


def test_text_learnt_by_heart_fails(begun, world_of):
    few = world_of(
        begun.root,
        {"train": 6, "tune": 2, "validation": 12},
        base=(begun.base, begun.model.model_copy(update={"adapt": "full"})),
        written=disordered,
        learning_rate=3e-3,
        max_steps=500,
        evaluations=1,
    )
    found = gate(few.evaluate(), "overfitting")
    assert found.evidence["gap"]["outcome"] == "FAIL"
    assert found.evidence["gap"]["lower"] > 0.1


def test_metrics_show_it_beside_the_untouched_model(report):
    metrics = report.metrics()
    for name in ("val", "untouched", "baseline_kn5"):
        assert metrics[f"{name}_later_bits_per_byte"]["n"] == 22
    assert metrics["untouched_bits_per_byte"]["n"] == 24
    assert metrics["val_bits_per_byte"]["value"] < metrics["untouched_bits_per_byte"]["value"]
    assert "champion_bits_per_byte" not in metrics


def noisy(begun, folder):
    """The checkpoint, as if random noise had been learnt beside the base."""
    model = begun.checkpoint.load("best")
    rng = torch.Generator().manual_seed(0)
    restore(
        model,
        {
            name: torch.empty_like(tensor).normal_(std=0.3, generator=rng)
            for name, tensor in learnt(model).items()
        },
    )
    (folder / "best").mkdir()
    save_model(model, folder / "best")
    for path in begun.checkpoint.path.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    summary = {**begun.checkpoint.summary, "weights_sha256": "x", "final_weights_sha256": "x"}
    return dataclasses.replace(begun.checkpoint, key="noisy", path=folder, summary=summary)


def test_noise_beside_the_base_fails(begun, tmp_path):
    found = gate(begun.evaluate(noisy(begun, tmp_path)), "competence")
    assert found.outcome == "FAIL"
    assert found.evidence["differences"]["untouched"]["lower"] > 0


def test_either_kind_is_judged_against_the_other_on_later_documents(begun, beside):
    assert begun.corpus.documents.key == beside.corpus.documents.key
    first = begun.evaluate(champion=beside.as_champion())
    second = beside.evaluate(champion=begun.as_champion())
    for report, other in ((first, second), (second, first)):
        found = gate(report, "champion")
        assert found.evidence["unread"]["judged_on_later"] is True
        assert found.evidence["tests"]["validation documents"]["n"] == 22
        # Each was read with its own tokenizer, and is what it is where it is the candidate.
        np.testing.assert_allclose(
            report.scores("champion").nll_nats, other.scores("validation").nll_nats, rtol=1e-4
        )
        np.testing.assert_array_equal(
            report.scores("champion").num_bytes, other.scores("validation").num_bytes
        )
        assert report.metrics()["champion_later_bits_per_byte"]["n"] == 22
    one, two = (gate(report, "champion") for report in (first, second))
    assert one.value == pytest.approx(-two.value, abs=1e-4)
    assert {one.outcome, two.outcome} == {"PASS", "FAIL"}
    # What one from random weights must beat has nothing to do with the champion's base.
    competence = gate(second, "competence")
    assert "untouched" not in competence.evidence["differences"]
    assert "unread" not in competence.evidence
    assert not second.has_scores("untouched")


def test_two_from_random_weights_are_judged_as_ever(beside):
    report = beside.evaluate(champion=beside.as_champion(beside.train(max_steps=8)))
    for name in ("competence", "champion"):
        assert "unread" not in gate(report, name).evidence
    assert gate(report, "champion").evidence["tests"]["validation documents"]["n"] == 24
    assert not [name for name in report.metrics() if "later" in name or "champion" in name]


def test_models_are_let_go_of_one_after_the_other(begun, monkeypatch):
    alive, most = [], []

    def watched(make):
        def load(*args, **options):
            model = make(*args, **options)
            alive.append(weakref.ref(model))
            gc.collect()
            most.append(sum(ref() is not None for ref in alive))
            return model

        return load

    for module in (sides, questions, champion):
        monkeypatch.setattr(module, "load_model", watched(module.load_model))
    for module in (questions, untouched):
        monkeypatch.setattr(module, "untouched", watched(module.untouched))
    shutil.rmtree(begun.store.root / "untouched", ignore_errors=True)
    checkpoint = dataclasses.replace(begun.checkpoint, key="with other last weights")
    summary = {**checkpoint.summary, "final_weights_sha256": "other"}
    checkpoint = dataclasses.replace(checkpoint, summary=summary)
    begun.evaluate(checkpoint, champion=begun.as_champion())
    # The candidate, and with it its last weights, the untouched model (on text of either side) and
    # the champion in turn.
    assert most == [1, 2, 2, 2, 2]
