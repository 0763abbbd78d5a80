"""Translation of a made language with another word order, and summaries; by models of seconds."""

import random
from typing import Any

import pytest
import torch

from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.tasks.judging.attention import attention_map
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import TRANSLATION

WORDS = dict(
    zip(
        ["haus", "baum", "katze", "hund", "wasser", "feuer", "brot", "stein", "vogel", "fisch"],
        ["house", "tree", "cat", "dog", "water", "fire", "bread", "stone", "bird", "fish"],
        strict=True,
    )
)


def pairs(count: int) -> list[tuple[str, str]]:
    """Word for word, but in the opposite order: a dictionary alone cannot do it."""
    rng = random.Random(2)
    found = set()
    while len(found) < count:
        found.add(tuple(rng.choices(sorted(WORDS), k=rng.randint(3, 5))))
    return [(" ".join(s), " ".join(WORDS[w] for w in reversed(s))) for s in sorted(found)]


@pytest.mark.slow
def test_a_translator_beats_its_dictionary(bench: Any) -> None:
    config = bench.config("translation", pairs(1500), max_steps=350, weight_decay=0.01)
    checkpoint = bench.train(config)
    told: list[tuple[str, int, int]] = []
    report = bench.judge(config, checkpoint, on_progress=lambda *count: told.append(count))
    answered = [(done, total) for part, done, total in told if part == "answers"]
    assert answered == sorted(answered)
    assert answered[0][0] == 0
    assert answered[-1] == (report.summary["documents"],) * 2
    assert [part for part, *_ in told][-1] == "gates"
    metrics = report.metrics()
    gates = {gate.gate: gate for gate in report.verdict().results}
    assert tuple(gates) == TRANSLATION.gates
    assert metrics[TRANSLATION.deciding.name]["unit"] == TRANSLATION.deciding.unit
    assert metrics["bleu"]["value"] > metrics["baseline_bleu"]["value"] + 20
    # Both know the words; in their order, of which chrF sees less, only the model can be right.
    assert metrics["chrf"]["value"] > metrics["baseline_chrf"]["value"]
    assert metrics["baseline_copy_bleu"]["value"] < 5
    assert gates["instrument"].outcome == "PASS", gates["instrument"].reason
    assert gates["competence"].outcome == "PASS", gates["competence"].reason
    assert set(report.summary["signatures"]) == {"bleu", "chrf"}
    (table,) = report.tables()
    assert table["header"] == ["", "bleu", "chrf", "bleu: this version minus it"]
    for row, name in zip(table["rows"][1:], ("baseline_bleu", "baseline_copy_bleu"), strict=True):
        gain = metrics["bleu"]["value"] - metrics[name]["value"]
        assert float(row[-1].split()[0]) == pytest.approx(gain, abs=0.11)
        low, high = (float(bound) for bound in row[-1].split("[")[1].rstrip("]").split(", "))
        assert low - 0.1 < gain < high + 0.1
    for entry in report.attention():
        assert entry["words"][0] == "(start)"
        assert entry["words"][-1] == "(written so far)"
        assert set(entry["words"][1:-1]) <= set(WORDS)
        assert len(entry["shares"]) == len(entry["readers"])
        assert [sum(row) for row in entry["shares"]] == pytest.approx(
            [1] * len(entry["readers"]), abs=0.01
        )
    tokenizer = bench.prepared(config).tokenizer
    predictor = Predictor(checkpoint.path / "best", tokenizer.load())
    looked_at_when_chosen(predictor)
    answers = predictor.predict(["haus baum katze", "", "brot stein vogel fisch"])
    assert answers[1].output == ""
    assert answers[1].note == "the input is empty"
    assert [a.probabilities for a in answers] == [None] * 3
    assert predictor.predict(["haus baum katze"])[0].output == answers[0].output


def looked_at_when_chosen(predictor: Predictor) -> None:
    """A word is chosen at the place before it: the first one at the separator."""
    record, tokenizer, model = predictor.record, predictor.tokenizer, predictor.model
    assert isinstance(model, RecurrentAttentionLM)
    found = attention_map(predictor, "haus baum katze", "cat tree", kind="best")
    assert found is not None
    assert (found.readers, found.words[1:-1]) == (["cat", "tree"], ["haus", "baum", "katze"])
    source, target = tokenizer.encode("haus baum katze"), tokenizer.encode("cat tree")
    stream = [tokenizer.end_id, *source, record.separator, *target]
    layers = model.attention_weights(torch.tensor([stream]))
    shares = torch.stack(layers).mean(dim=(0, 2))[0]
    first = len(source) + 1
    length = len(tokenizer.encode("cat"))
    for row, places in enumerate(
        (slice(first, first + length), slice(first + length, first + len(target)))
    ):
        read = shares[places].mean(0)
        assert found.shares[row][0] == pytest.approx(float(read[0]), abs=1e-5)
        assert sum(found.shares[row][1:-1]) == pytest.approx(float(read[1:first].sum()), abs=1e-5)
        assert found.shares[row][-1] == pytest.approx(float(read[first:].sum()), abs=1e-5)


@pytest.mark.slow
def test_a_summary_is_held_against_sentences_of_its_source(bench: Any) -> None:
    rng = random.Random(3)
    rows = []
    for number in range(300):
        subject = rng.choice(sorted(WORDS.values()))
        filler = " ".join(rng.choice(sorted(WORDS)) for _ in range(6))
        rows.append(
            (f"News of the {subject} {number}. {filler}. {filler[::-1]}.", f"the {subject}")
        )
    config = bench.config("summarization", rows, max_steps=60)
    report = bench.judge(config, bench.train(config))
    metrics = report.metrics()
    for name in ("rouge1", "rouge2", "rougeL"):
        assert 0 <= metrics[name]["value"] <= 1
        assert {f"baseline_{name}", f"baseline_lead1_{name}", f"baseline_lead3_{name}"} <= set(
            metrics
        )
    assert report.samples()[0]["text"].startswith("→")
