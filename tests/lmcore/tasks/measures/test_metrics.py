"""Metrics of tasks against values computed by hand, by scikit-learn and by sacrebleu itself."""

from collections.abc import Sequence

import numpy as np
import pytest
from declaration import ARTICLE_1
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sklearn.metrics import f1_score

from lmcore.data.documents import Document
from lmcore.evaluation.statistics.measured import AlignmentError
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.measures import metrics

RNG = np.random.default_rng(0)


HOW = Resampling(resamples=1000)


def documents(count: int, targets: Sequence[str] = ()) -> list[Document]:
    facts = {"name": "x", "source": 0, "license": "CC0-1.0", "origin": "", "split": "validation"}
    return [
        Document(
            id=f"d{i}",
            text=f"text {i}",
            cluster=f"c{i}",
            num_bytes=6,
            anchor=False,
            target=targets[i] if targets else None,
            **facts,
        )
        for i in range(count)
    ]


def test_accuracy_by_hand() -> None:
    found = metrics.accuracy(documents(4), [0, 1, 1, 0], [0, 1, 0, -1])
    assert found.value == 0.5
    assert found.each.tolist() == [1, 1, 0, 0]
    interval = found.interval(resampling=HOW)
    assert interval.lower < 0.5 < interval.upper
    assert interval.n == 4


def test_macro_f1_is_that_of_scikit_learn() -> None:
    truth, guess = RNG.integers(0, 4, 200), RNG.integers(0, 4, 200)
    found = metrics.macro_f1(documents(200), guess.tolist(), truth.tolist(), num_labels=5)
    assert found.value == pytest.approx(f1_score(truth, guess, average="macro"))
    interval = found.interval(resampling=HOW)
    assert interval.lower < found.value < interval.upper


def test_macro_f1_by_hand() -> None:
    # Class 0: 1 hit, 2 guesses, 1 real -> 2/3; class 1: 1 hit, 1 guess, 2 real -> 2/3.
    found = metrics.macro_f1(documents(3), [0, 0, 1], [0, 1, 1], num_labels=2)
    assert found.value == pytest.approx(2 / 3)
    nothing = found.minus(found, resampling=HOW)
    assert (nothing.value, nothing.lower, nothing.upper) == (0, 0, 0)


def test_bleu_and_chrf_are_those_of_sacrebleu() -> None:
    outputs = ["the cat sat on the mat", "a dog ran home", "birds sing in the trees at dawn"]
    references = ["the cat sat on a mat", "the dog ran home", "birds sing at dawn in the trees"]
    found = metrics.of_written("translation", documents(3, references), outputs)
    bleu, chrf = found
    assert [m.metric.name for m in found] == ["bleu", "chrf"]
    assert bleu.value == pytest.approx(BLEU().corpus_score(outputs, [references]).score)
    assert chrf.value == pytest.approx(CHRF().corpus_score(outputs, [references]).score)
    assert "tok:13a" in bleu.signature
    one = CHRF().corpus_score(outputs[:1], [references[:1]]).score
    assert chrf.each[0] == pytest.approx(one)
    # A document counts for the length of its reference: words, and characters without blanks.
    assert bleu.sample.weights.tolist() == [6, 4, 7]
    assert chrf.sample.weights.tolist() == [15, 13, 25]
    perfect = metrics.bleu(documents(3), references, references)
    assert perfect.value == pytest.approx(100)
    gain = perfect.minus(bleu, resampling=HOW)
    assert gain.value == pytest.approx(100 - bleu.value)
    assert gain.lower <= gain.value <= gain.upper


def test_rouge_by_hand() -> None:
    one, two, longest = metrics.of_written("summarization", documents(1, ["a b x d"]), ["a b c d"])
    assert one.value == pytest.approx(3 / 4)
    assert two.value == pytest.approx(1 / 3)
    assert longest.value == pytest.approx(3 / 4)
    assert [m.metric.title for m in (one, two, longest)] == ["ROUGE-1", "ROUGE-2", "ROUGE-L"]


@pytest.mark.parametrize("language", sorted(ARTICLE_1))
def test_a_text_has_the_best_score_with_itself_and_half_of_it_less(language: str) -> None:
    text = ARTICLE_1[language]
    targets, halves = [text, text[: len(text) // 2]], [text[: len(text) // 2]] * 2
    judged = documents(2, targets)
    for task, best in (("translation", 100), ("summarization", 1)):
        for same, half in zip(
            metrics.of_written(task, judged, targets),
            metrics.of_written(task, judged, halves),
            strict=True,
        ):
            assert same.value == pytest.approx(best)
            assert 0.2 * best < half.value < 0.95 * best
            assert same.signature == half.signature != ""


def test_a_tokenizer_can_be_asked_for_and_two_are_not_compared() -> None:
    judged, texts = documents(2, [ARTICLE_1["zh"]] * 2), [ARTICLE_1["zh"], "人人"]
    auto = metrics.of_written("translation", judged, texts)[0]
    other = metrics.of_written("translation", judged, texts, tokenizer="char")[0]
    assert "tok:zh" in auto.signature
    assert "tok:char" in other.signature
    with pytest.raises(AlignmentError, match=r"tok:zh.*tok:char.*measure both in one way"):
        auto.minus(other)
