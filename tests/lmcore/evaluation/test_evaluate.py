"""The step as a whole, on a language that is easy for a network and hard for a short n-gram.

Words are a letter and a long common ending, and each word decides the next one: a byte 5-gram
sees only the ending, a model that reads tokens learns the succession in a few steps.
"""

import itertools
import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmcore.artifacts import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import Document
from lmcore.data.text.privacy import SpanHashes
from lmcore.data.tokens.corpus import make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.baselines.ngram import KneserNey
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.evaluate import evaluate_model
from lmcore.evaluation.gates.overfitting import FitLimits, fit_of_language, overfitting
from lmcore.evaluation.gates.result import Verdict
from lmcore.evaluation.inputs import Challenge, ChampionInput
from lmcore.evaluation.memory.consumed_text import sample_consumed
from lmcore.evaluation.memory.difficulty_reference import score_reference
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, score_documents
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import RecurrentAttentionLM
from lmcore.tasks.task import LANGUAGE_MODELLING
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig
from lmcore.training.train import train

LETTERS = "abcdefghijklmnop"
FOLLOWS = dict(zip(LETTERS, random.Random(7).sample(LETTERS, 16), strict=True))
GATES = GatesConfig.model_validate({"evaluation": {"resamples": 1000, "free_samples": 50}})


def make_text(rng, num_words=60):
    letter, words = rng.choice(LETTERS), []
    for _ in range(num_words):
        words.append(letter + "oolioolio")
        letter = FOLLOWS[letter] if rng.random() < 0.9 else rng.choice(LETTERS)
    return " ".join(words)


class World:
    """One corpus and what was made from it, shared by the tests of this module."""

    def __init__(self, root, document_of, texts, *, model=None, training=None):
        self.store = ContentStore(root)
        documents = self._documents(document_of, texts)
        tokenizer = fit_tokenizer(self.store, documents, config=TokenizerConfig(vocab_size=300))
        self.corpus = make_corpus(self.store, documents, tokenizer)
        self.model = ModelConfig(
            **{
                "pattern": "LA",
                "d_model": 32,
                "head_dim": 16,
                "window": 16,
                "dropout": 0.25,
                **(model or {}),
            }
        )
        self.root = root
        self.checkpoint = self.train(**(training or {}))

    def _documents(self, document_of, texts):
        from lmcore.data.documents import DocumentSet, RowWriter

        def make(folder):
            size = 0
            with RowWriter(folder) as writer:
                for split, text, anchor in texts:
                    d = document_of(text, split=split, anchor=anchor)
                    row = (getattr(d, name) for name in Document.__dataclass_fields__)
                    writer.add(*row, num_bytes=d.num_bytes)
                    size += d.num_bytes
            (folder / "sources.json").write_text('{"sources": [{"files": []}]}')
            personal = json.dumps(SpanHashes(b"salt").to_json())
            (folder / "personal.json").write_text(personal)
            return {"licenses": {"CC0-1.0": size}, "blocked_licenses": [], "pii": "mask"}

        return self.store.build(DocumentSet, {"texts": [list(t) for t in texts]}, make)

    def train(self, **options):
        values = {
            "seed": 0,
            "batch_size": 8,
            "sequence_length": 32,
            "warmup_steps": 5,
            "learning_rate": 1e-2,
            "precision": "float32",
            "evaluations": 4,
            **options,
        }
        return train(
            Attempt(store=self.store, work_dir=self.root / "work"),
            self.corpus,
            model=self.model,
            training=TrainingConfig(**values),
        )

    def evaluate(self, checkpoint=None, champion=None, **options):
        return evaluate_model(
            self.store,
            options.pop("corpus", self.corpus),
            challenge=Challenge(checkpoint=checkpoint or self.checkpoint, champion=champion),
            gates=options.pop("gates", GATES),
            **options,
        )

    def as_champion(self, checkpoint=None, **changes):
        checkpoint = checkpoint or self.checkpoint
        rows = list(self.corpus.documents.iter_rows())
        champion = ChampionInput(
            version=4,
            weights=checkpoint.path / "best",
            tokenizer=self.corpus.tokenizer.path,
            key=checkpoint.key,
            train_ids=frozenset(r["id"] for r in rows if r["split"] in ("train", "tune")),
            known_ids=frozenset(r["id"] for r in rows),
        )
        return replace(champion, **changes)


def easy_texts():
    rng = random.Random(0)
    plan = [("train", 60), ("tune", 6), ("validation", 24)]
    return [
        (split, make_text(rng), split == "validation" and i % 2 == 0)
        for split, count in plan
        for i in range(count)
    ]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def document_of():
    # The function behind the `document` fixture, for fixtures that outlive one test.
    import hashlib

    def build(text, **facts):
        identity = hashlib.sha256(text.encode()).hexdigest()
        values = {
            "id": identity,
            "text": text,
            "name": identity[:6],
            "source": 0,
            "license": "CC0-1.0",
            "origin": "a test",
            "num_bytes": len(text.encode()),
            "split": "validation",
            "anchor": False,
            "cluster": identity,
        }
        return Document(**{**values, **facts})

    return build


@pytest.fixture(scope="module")
def easy(tmp_path_factory, document_of):
    return World(
        tmp_path_factory.mktemp("easy"), document_of, easy_texts(), training={"max_steps": 26}
    )


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


def test_scores_of_train_count_consumed_tokens_only(easy):
    stream = easy.corpus.train_stream
    model = easy.checkpoint.load("best")
    pieces = easy.corpus.loaded.pieces
    sizes = np.array([len(piece) for piece in pieces])

    def sample(*ranges):
        return sample_consumed(easy.corpus, ranges=list(ranges), max_bytes=10**6)

    whole = sample((0, len(stream))).scored_by(model)
    assert len(whole) == 60
    assert whole.num_bytes.sum() == stream.num_bytes
    assert set(whole.split) == {"train"}
    middle = int(stream.doc_ends[29])
    half = sample((0, middle)).scored_by(model)
    assert len(half) == 30
    same = whole.select(whole.isin(set(half.id)))
    np.testing.assert_allclose(same.nll_nats, half.nll_nats, rtol=1e-5)
    cut = int(stream.doc_ends[0]) // 2
    parts = sample((0, cut), (cut + 3, middle))
    table = parts.scored_by(model)
    (row,) = np.flatnonzero(table.id == stream.doc_ids[0].decode())
    size = sizes[stream.read(0, int(stream.doc_ends[0]))].sum()
    assert table.num_bytes[row] == size - sizes[stream.read(cut, cut + 3)].sum()
    assert table.num_tokens[row] == stream.doc_ends[0] - 3
    for fact, text, mask in zip(parts.facts, parts.texts, parts.counted_bytes, strict=True):
        assert len(mask) == len(text) + 1
        assert mask[:-1].sum() == fact.num_bytes
    assert parts.texts[row].decode() in {
        d.text for d in easy.corpus.documents.iter_documents("train")
    }
    assert len(sample().scored_by(model)) == 0


def test_reference_has_seen_neither_side(easy, report):
    seen = []

    class Spy(KneserNey):
        @classmethod
        def fit(cls, documents, *, orders):
            seen.extend(documents)
            return KneserNey.fit(seen, orders=orders)

    sample = sample_consumed(
        easy.corpus,
        ranges=easy.checkpoint.consumed().ranges,
        max_bytes=8000,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmcore.evaluation.memory.difficulty_reference.KneserNey", Spy)
        score_reference(
            easy.corpus.documents,
            sample=sample,
            validation=easy.corpus.documents.iter_documents("validation"),
            max_bytes=10**6,
        )
    assert len(seen) == 60 - len(sample.facts)
    assert not set(seen) & set(sample.texts)
    assert report.scores("reference-train").id.tolist() == report.scores("train").id.tolist()


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
    found = overfitting(fit, limits=FitLimits.of(GATES, BITS_PER_BYTE), required=True)
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


def test_a_large_validation_split_is_sampled_with_room_for_fresh_and_anchor(easy):
    gates = {"evaluation": {"resamples": 1000, "max_validation_bytes": 4000}}
    gates = GatesConfig.model_validate(gates)
    plain = easy.evaluate(gates=gates)
    assert 6 <= len(plain.scores("validation")) <= 8
    rows = list(easy.corpus.documents.iter_rows("validation"))
    champion = easy.as_champion(known_ids=frozenset(r["id"] for r in rows[:12]))
    compared = easy.evaluate(gates=gates, champion=champion)
    assert len(compared.scores("validation")) > len(plain.scores("validation"))
    # The reported value is over the uniform sample, so it does not depend on the champion.
    assert compared.metrics()["val_bits_per_byte"] == plain.metrics()["val_bits_per_byte"]


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


def test_unknown_licence_fails_provenance(easy):
    facts = {"licenses": {"unknown": 5}, "blocked_licenses": ["unknown"]}
    documents = replace(easy.corpus.documents, summary=facts)
    report = easy.evaluate(corpus=replace(easy.corpus, documents=documents), seed=1)
    assert outcomes(report)["provenance"] == "FAIL"
    assert "unknown_license: allow" in report.verdict().reason


def test_weights_that_are_not_finite_are_an_error_not_a_verdict(easy, tmp_path):
    from lmcore.model.language_model import save_model

    model = easy.checkpoint.load("best")
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    (tmp_path / "best").mkdir()
    save_model(model, tmp_path / "best")
    summary = {**easy.checkpoint.summary, "weights_sha256": "x", "final_weights_sha256": "x"}

    class Diverged:
        key, path = "diverged", tmp_path

        def __init__(self):
            self.summary = summary

        def consumed(self):
            return easy.checkpoint.consumed()

    with pytest.raises(EmptyEvaluationError, match="finite"):
        easy.evaluate(Diverged())


def test_one_validation_document_gives_values_without_intervals_and_no_pass(tmp_path, document_of):
    rng = random.Random(5)
    texts = [("train", make_text(rng), False) for _ in range(12)]
    texts += [("validation", make_text(rng), False)]
    world = World(tmp_path, document_of, texts, training={"max_steps": 3})
    report = world.evaluate()
    metric = report.metrics()["val_bits_per_byte"]
    assert metric["value"] > 0
    assert (metric["lower"], metric["upper"], metric["n"]) == (None, None, 1)
    assert report.metrics()["val_loss_nats_per_token"]["value"] > 0
    assert "anchor_bits_per_byte" not in report.metrics()
    found = outcomes(report)
    assert found["competence"] == found["overfitting"] == "INCONCLUSIVE"
    assert not report.verdict().passed


def test_no_validation_text_is_said(tmp_path, document_of):
    rng = random.Random(6)
    texts = [("train", make_text(rng), False) for _ in range(12)]
    world = World(tmp_path, document_of, texts, training={"max_steps": 1})
    with pytest.raises(EmptyEvaluationError, match="0 validation documents"):
        world.evaluate()


def test_verdict_comes_back_from_disk(report):
    verdict = report.verdict()
    assert isinstance(verdict, Verdict)
    assert {r.gate for r in verdict.results if r.required} == set(GATES.required)
