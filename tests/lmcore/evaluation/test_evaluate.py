"""The step as a whole, on a language that is easy for a network and hard for a short n-gram."""

import itertools
import json
from dataclasses import replace

import library_tokenizers as library
import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.overfitting import FitLimits, fit_of_language, overfitting
from lmcore.evaluation.gates.result import Verdict
from lmcore.evaluation.memory.consumed_text import sample_consumed
from lmcore.evaluation.memory.difficulty_reference import score_reference
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, score_documents
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.tasks.task import LANGUAGE_MODELLING

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def report(easy):
    return easy.evaluate()


def outcomes(report):
    return {r.gate: r.outcome for r in report.verdict().results}


def test_a_sound_first_model_passes(report):
    assert outcomes(report) == {
        "instrument": "PASS",
        "provenance": "PASS",
        "competence": "PASS",
        "champion": "SKIPPED",
        "overfitting": "PASS",
        "bias_lm": "SKIPPED",
        "contamination": "FAIL",  # sixteen words say the same again
        "regurgitation": "SKIPPED",
        "exposure": "SKIPPED",
        "data_sufficiency": "SKIPPED",
        "pii": "PASS",
    }
    assert tuple(outcomes(report)) == LANGUAGE_MODELLING.gates
    verdict = report.verdict()
    assert verdict.passed
    assert report.summary["passed"]
    assert report.summary["outcome"] == "PASS"


def test_metrics_have_contract_names_and_agree_with_the_tables(report, easy):
    metrics = report.metrics()
    assert set(metrics) == {
        *("val_bits_per_byte", "val_loss_nats_per_token", "train_bits_per_byte"),
        *("anchor_bits_per_byte", "train_tokens_per_second", "params"),
        *(f"baseline_kn{k}_bits_per_byte" for k in (5, 6, 8)),
    }
    for metric in metrics.values():
        assert set(metric) == {"value", "lower", "upper", "unit", "n"}
    table = report.scores("validation")
    value = metrics[LANGUAGE_MODELLING.deciding.name]
    assert value["unit"] == LANGUAGE_MODELLING.deciding.unit
    assert value["value"] == pytest.approx(table.total_bits_per_byte())
    assert value["lower"] < value["value"] < value["upper"]
    assert value["n"] == 24
    assert metrics["anchor_bits_per_byte"]["n"] == 12
    assert metrics["params"]["value"] == easy.checkpoint.summary["params"]
    bits = table.num_tokens.sum() * metrics["val_loss_nats_per_token"]["value"] / np.log(2)
    assert bits / table.num_bytes.sum() == pytest.approx(value["value"])
    for order in (5, 6, 8):
        name = f"baseline_kn{order}_bits_per_byte"
        expected = report.scores(f"kn{order}").total_bits_per_byte()
        assert metrics[name]["value"] == pytest.approx(expected)


def test_report_is_made_once_and_depends_on_the_gates(easy, report):
    again = easy.evaluate()
    assert again.key == report.key
    tighter = {"overfitting": {"max_relative_gap": 0.0001}, "evaluation": {"resamples": 1000}}
    other = easy.evaluate(gates=GatesConfig.model_validate(tighter))
    assert other.key != report.key
    assert outcomes(other)["overfitting"] != "PASS"
    assert not other.verdict().passed


def test_samples_are_seeded_and_go_on_from_nothing_and_from_three_openings(report, easy):
    samples = report.samples()
    assert len(samples) == 4
    assert samples[0]["prompt"] == ""
    assert {"prompt", "text", "tokens", "seed", "temperature", "finish"} <= set(samples[1])
    assert easy.evaluate(seed=2).samples()[0]["text"] != samples[0]["text"]


def test_everything_written_is_strict_json(report):
    files = list(report.path.glob("*.json"))
    assert {"gates.json", "metrics.json", "samples.json"} <= {file.name for file in files}
    for file in files:
        json.loads(file.read_text(), parse_constant=pytest.fail)


def test_text_that_was_not_read_shows_no_gap(easy):
    # The placebo of the overfitting gate: train documents after the ones that were consumed.
    stream = easy.corpus.train_stream
    checkpoint = easy.train(max_steps=7)
    read = {i for start, stop in checkpoint.consumed().ranges for i in range(start, stop)}
    ends = [0, *map(int, stream.doc_ends)]
    unread = [
        (start, stop)
        for start, stop in itertools.pairwise(ends)
        if not read & {*range(start, stop)}
    ]
    assert len(unread) >= 10
    sample = sample_consumed(easy.corpus, ranges=unread, max_bytes=10**6)
    model = checkpoint.load("best")
    targets = list(easy.corpus.documents.iter_documents("validation"))
    fit = fit_of_language(
        score_documents(model, easy.corpus.loaded, targets),
        sample.scored_by(model),
        reference=score_reference(
            easy.corpus.documents, sample=sample, validation=targets, max_bytes=10**6
        ),
        final=None,
    )
    found = overfitting(fit, limits=FitLimits.of(easy.gates, BITS_PER_BYTE), required=True)
    assert found.lower < 0 < found.upper
    assert found.upper - found.lower < 0.1


def test_the_same_model_again_is_a_tie_and_is_not_promoted(easy):
    report = easy.evaluate(champion=easy.as_champion())
    assert outcomes(report)["champion"] == "FAIL"
    assert not report.verdict().passed
    (gate,) = (r for r in report.verdict().results if r.gate == "champion")
    assert gate.evidence["tie"]
    assert (gate.value, gate.lower, gate.upper) == (0, 0, 0)
    champion = report.scores("champion")
    assert champion.nll_nats.tolist() == report.scores("validation").nll_nats.tolist()


def test_a_better_model_replaces_a_worse_one_and_not_the_reverse(easy):
    worse = easy.train(max_steps=8)
    up = easy.evaluate(champion=easy.as_champion(worse))
    assert outcomes(up)["champion"] == "PASS"
    assert up.verdict().passed
    down = easy.evaluate(worse, champion=easy.as_champion())
    assert outcomes(down)["champion"] == "FAIL"


def test_with_fresh_documents_those_decide(easy):
    worse = easy.train(max_steps=8)
    rows = list(easy.corpus.documents.iter_rows("validation"))
    known = frozenset(r["id"] for r in rows[:4])
    champion = easy.as_champion(worse, known_ids=known)
    (gate,) = (
        r for r in easy.evaluate(champion=champion).verdict().results if r.gate == "champion"
    )
    assert gate.outcome == "PASS"
    assert gate.evidence["fresh_documents"] == 20
    assert set(gate.evidence["tests"]) == {"fresh documents", "anchor documents"}


@pytest.mark.parametrize("damage", ["weights", "tokenizer", "missing", "known"])
def test_a_champion_that_cannot_be_scored_is_incomparable(easy, tmp_path, damage):
    champion = easy.as_champion(key=damage)
    if damage == "weights":
        (tmp_path / "model.safetensors").write_bytes(b"no")
        (tmp_path / "model.json").write_bytes((champion.weights / "model.json").read_bytes())
        champion = replace(champion, weights=tmp_path)
    elif damage == "known":
        champion = replace(champion, problem="its folder was changed")
    else:
        field = "tokenizer" if damage == "tokenizer" else "weights"
        champion = replace(champion, **{field: tmp_path / "nothing"})
    report = easy.evaluate(champion=champion)
    assert outcomes(report)["champion"] == "INCONCLUSIVE"
    (gate,) = (r for r in report.verdict().results if r.gate == "champion")
    assert gate.reason.startswith("INCOMPARABLE")
    assert not report.verdict().passed
    assert not report.has_scores("champion")


def test_an_untrained_model_fails_competence(easy, monkeypatch):
    # How frequent tokens are is enough to beat letters here, so it must not even know that.
    monkeypatch.setattr(RecurrentAttentionLM, "expect", lambda self, counts: None)
    checkpoint = easy.train(max_steps=1, learning_rate=1e-6)
    report = easy.evaluate(checkpoint)
    assert outcomes(report)["competence"] == "FAIL"
    assert outcomes(report)["instrument"] == "PASS"
    assert not report.verdict().passed


def test_a_tokenizer_fitted_on_other_text_fails_the_instrument(easy):
    fitted = easy.corpus.tokenizer
    other = replace(fitted, key="another", summary={**fitted.summary, "split": "validation"})
    corpus = replace(easy.corpus, tokenizer=other)
    assert outcomes(easy.evaluate(corpus=corpus))["instrument"] == "FAIL"


@pytest.mark.parametrize(
    ("made", "written", "changed"),
    [
        # Its documents end with token 2, and a space is put before each text.
        (library.byte_fallback, str, False),
        # Its documents end with token 0.
        (library.lowering, str.title, True),
    ],
)
def test_a_tokenizer_that_came_with_another_model_is_judged_like_any(
    tmp_path, world_of, made, written, changed
):
    counts = {"train": 14, "tune": 3, "validation": 6}
    world = world_of(
        tmp_path / "home", counts, borrowed=made(), written=written, max_steps=4, sequence_length=64
    )
    assert world.corpus.loaded.end_id < 3
    report = world.evaluate()
    instrument = report.verdict().results[0]
    assert instrument.gate == "instrument"
    assert instrument.outcome == ("FAIL" if changed else "PASS"), instrument.reason
    assert ("became" in instrument.reason) == changed
    # Bytes are those of the documents, in every table.
    rows = world.corpus.documents.iter_rows("validation")
    size = sum(row["num_bytes"] for row in rows)
    table = report.scores("validation")
    assert table.num_bytes.sum() == size
    stream = world.corpus.tune_stream
    assert (stream.bytes_per_spelled == 1.0) == changed  # lower case is as long
    assert np.isfinite(world.checkpoint.summary["tune_bits_per_byte"])


def test_unknown_licence_fails_provenance(easy):
    facts = {"licenses": {"unknown": 5}, "blocked_licenses": ["unknown"]}
    documents = replace(easy.corpus.documents, summary=facts)
    report = easy.evaluate(corpus=replace(easy.corpus, documents=documents), seed=1)
    assert outcomes(report)["provenance"] == "FAIL"
    assert "unknown_license: allow" in report.verdict().reason


def test_one_validation_document_gives_values_without_intervals_and_no_pass(tmp_path, world_of):
    world = world_of(tmp_path, {"train": 12, "validation": 1}, seed=5, max_steps=3)
    report = world.evaluate()
    metric = report.metrics()["val_bits_per_byte"]
    assert metric["value"] > 0
    assert (metric["lower"], metric["upper"], metric["n"]) == (None, None, 1)
    assert report.metrics()["val_loss_nats_per_token"]["value"] > 0
    assert "anchor_bits_per_byte" not in report.metrics()
    found = outcomes(report)
    assert found["competence"] == found["overfitting"] == "INCONCLUSIVE"
    assert not report.verdict().passed


def test_no_validation_text_is_said(tmp_path, world_of):
    world = world_of(tmp_path, {"train": 12}, seed=6, max_steps=1)
    with pytest.raises(EmptyEvaluationError, match="0 validation documents"):
        world.evaluate()


def test_verdict_comes_back_from_disk(report, easy):
    verdict = report.verdict()
    assert isinstance(verdict, Verdict)
    assert {r.gate for r in verdict.results if r.required} == set(easy.gates.required)
