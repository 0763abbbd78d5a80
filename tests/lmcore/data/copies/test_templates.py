"""Letters are told by their own part: copies of one are found, letters of one template are not."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from lmcore.data.copies.deduplication import Signatures, minhash
from lmcore.data.copies.shingles import shingles
from lmcore.data.copies.templates import MAX_SHARING, Template


def words(seed: object, count: int) -> str:
    rng = random.Random(str(seed))
    return " ".join(f"w{rng.randrange(20_000)}" for _ in range(count))


def letters(count: int, *, parts: int = 5, own: int = 2, common: int = 40) -> list[str]:
    """So many letters of `parts` passages that all share, each followed by own words."""
    template = [words(f"template {part}", common) for part in range(parts)]
    return [
        " ".join(f"{passage} {words((number, part), own)}" for part, passage in enumerate(template))
        for number in range(count)
    ]


def signed(texts: Sequence[str]) -> Signatures:
    return minhash([shingles(text) for text in texts])


def pairs(template: Template, similarity: float = 0.7) -> set[tuple[int, int]]:
    return {
        (min(pair), max(pair))
        for left, right in template.copies(similarity=similarity)
        for pair in zip(left.tolist(), right.tolist(), strict=True)
    }


@pytest.mark.parametrize("count", [MAX_SHARING + 1, 600])
def test_letters_are_no_copies_and_edited_copies_are(count: int) -> None:
    texts = letters(count)
    edited = texts[7].split()
    edited[3] = edited[100] = "changed"
    texts += [texts[3].upper(), " ".join(edited)]
    template = Template(signed(texts), np.arange(len(texts)))
    assert pairs(template) == {(3, count), (7, count + 1)}
    # Each part has 40 words of the template and two of its own, which break six shingles.
    assert template.shared == pytest.approx(1 - 5 * 6 / (5 * 42 - 4), abs=0.05)


def test_only_the_members_are_looked_at() -> None:
    texts = letters(120)
    rows = np.arange(1, 240, 2)
    signatures = signed([text for letter in texts for text in (words(letter, 90), letter)])
    copy = np.vstack([signatures, signatures[[5]]])
    members = np.append(rows, 240)
    assert pairs(Template(copy, members)) == {(5, 240)}


def test_letters_whose_own_part_is_too_small_to_be_seen_stay_together() -> None:
    # One word in 4,000: five shingles of which none is among the minima of most letters.
    texts = letters(200, parts=1, own=1, common=4_000)
    signatures = signed(texts)
    template = Template(signatures, np.arange(200))
    joined = pairs(template)
    same = [(a, b) for a, b in joined if (signatures[a] == signatures[b]).all()]
    assert len(joined) > 100
    assert len(same) > 0.9 * len(joined)
    assert template.shared > 0.99


def test_a_value_that_half_of_the_letters_share_is_own_to_none() -> None:
    # Two out of three letters name the same person: that makes them no copies.
    texts = [
        f"{letter} {words('name', 12) if number % 3 else words(number, 12)}"
        for number, letter in enumerate(letters(300))
    ]
    assert pairs(Template(signed(texts), np.arange(300))) == set()


def test_nothing_is_a_copy_of_identical_signatures_of_others() -> None:
    signatures = np.repeat(signed(["the very same text in all of these documents"]), 60, axis=0)
    template = Template(signatures, np.arange(60))
    assert template.shared == 1.0
    assert pairs(template) == {(row, row + 1) for row in range(59)}
