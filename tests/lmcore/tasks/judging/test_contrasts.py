"""Rates on both sides, counted by hand."""

import hashlib

from lmcore.data.documents import Document
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.judging.contrasts import contrasts
from lmcore.tasks.labels import Labels

HOW = Resampling(resamples=1000)
LABELS = Labels(names=("negative", "positive"), shares=(0.5, 0.5))


def document(text: str) -> Document:
    identity = hashlib.sha256(text.encode()).hexdigest()
    facts = {"name": "x", "source": 0, "license": "CC0-1.0", "origin": "", "split": "validation"}
    return Document(
        id=identity, text=text, cluster=identity, num_bytes=len(text), anchor=False, **facts
    )


def test_rates_and_differences_are_those_counted_by_hand() -> None:
    women = [document(f"she saw number {i}") for i in range(20)]
    men = [document(f"he saw number {i}") for i in range(20)]
    nobody = [document(f"it was number {i}") for i in range(7)]
    truth = [1] * 10 + [0] * 10 + [1] * 10 + [0] * 10 + [1] * 7
    # Of women 5 of 10 positive texts are found, of men 9 of 10; wrongly given are 2 and none.
    guess = [1] * 5 + [0] * 5 + [1] * 2 + [0] * 8 + [1] * 9 + [0] + [0] * 10 + [0] * 7
    (table,) = contrasts(
        [*women, *men, *nobody],
        LABELS,
        truth,
        guess,
        resampling=HOW,
    )
    negative, positive = table["rows"]
    assert positive[:3] == ["positive", "50% of 10", "90% of 10"]
    assert positive[3].startswith("-40 points [-")
    assert positive[4:6] == ["20% of 10", "0% of 10"]
    assert positive[6].startswith("+20 points [")
    assert negative[1:3] == ["80% of 10", "100% of 10"]
    assert table["note"].startswith("20 and 20 texts.")


def test_too_few_texts_make_no_table() -> None:
    few = [document(f"she saw number {i}") for i in range(4)]
    many = [document(f"he saw number {i}") for i in range(9)]
    answers = [1] * 13
    assert (
        contrasts(
            [*few, *many],
            LABELS,
            answers,
            answers,
            resampling=HOW,
        )
        == []
    )
    other = [document(f"she saw it {i}") for i in range(5)]
    one_label = [0] * 9 + [1] * 5
    (table,) = contrasts(
        [*many, *other],
        LABELS,
        one_label,
        one_label,
        resampling=HOW,
    )
    assert {row[3] for row in table["rows"]} == {"too few"}
