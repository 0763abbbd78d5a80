"""What counts as a copy, in words that can be counted by hand."""

import random

import numpy as np
import pytest
from declaration import ARTICLE_1
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.evaluation.memory.contamination import measure_contamination, passages_of, words

WORDS = [f"w{i}" for i in range(4000)]


def text_of(rng, count=160):
    return " ".join(rng.choices(WORDS, k=count))


@pytest.fixture
def measure(document, document_set):
    def run(train, validation, *, common=4, clusters=None):
        rows = [
            document(text, split="train", **({"cluster": clusters[i]} if clusters else {}))
            for i, text in enumerate(train)
        ]
        targets = [document(text) for text in validation]
        documents = document_set([*rows, *targets])
        return measure_contamination(documents, validation=targets, common_documents=common)

    return run


def test_a_run_is_counted_in_words(measure):
    rng = random.Random(0)
    passage = text_of(rng).split()
    inside = [text_of(rng, 50), " ".join(passage[20:45]), text_of(rng, 50)]
    found = measure([" ".join(inside)], [" ".join(passage)])
    assert found.words.tolist() == [160]
    assert found.longest.tolist() == [25]
    assert found.covered.tolist() == pytest.approx([25 / 160])


def test_twelve_words_are_no_run_and_four_are_not_covered(measure):
    rng = random.Random(0)
    passage = text_of(rng).split()
    found = measure([" ".join(passage[:12]), " ".join(passage[50:54])], [" ".join(passage)])
    assert found.longest.tolist() == [0]
    assert found.covered.tolist() == pytest.approx([12 / 160])


def test_case_spaces_and_punctuation_hide_nothing(measure):
    rng = random.Random(1)
    passage = text_of(rng)
    changed = passage.upper().replace(" ", ",\n ")
    assert measure([changed], [passage]).longest.tolist() == [160]


@pytest.mark.parametrize(
    "hide",
    [
        lambda text: text.replace("w1", "w\u00ad1"),
        lambda text: "\u200b".join(text),
        lambda text: "".join(c if c == " " else chr(ord(c) + 0xFEE0) for c in text),
    ],
)
def test_invisible_and_full_width_characters_hide_nothing(measure, hide):
    passage = text_of(random.Random(1))
    assert measure([hide(passage)], [passage]).longest.tolist() == [160]


@pytest.mark.parametrize("seed", range(5))
def test_an_edit_of_every_fifth_word_is_seen_by_coverage(measure, seed):
    rng = random.Random(seed)
    passage = text_of(rng).split()
    edited = [word if rng.random() > 0.2 else "edited" for word in passage]
    found = measure([" ".join(edited)], [" ".join(passage)])
    assert 0.4 < found.covered[0] < 0.9
    # The mean over words in unbroken runs of five: 0.8^5 (5 * 0.2 + 0.8) = 0.59.
    assert measure([text_of(rng)], [" ".join(passage)]).covered[0] < 0.1


@pytest.mark.parametrize(("times", "longest"), [(4, 30), (5, 0)])
def test_what_many_documents_share_is_exempt(measure, times, longest):
    rng = random.Random(2)
    header = text_of(rng, 30)
    train = [f"{header} {text_of(rng)}" for _ in range(times)]
    assert measure(train, [f"{header} {text_of(rng)}"]).longest.tolist() == [longest]


def test_near_copies_of_one_document_are_one_document(measure):
    rng = random.Random(3)
    header = text_of(rng, 30)
    train = [f"{header} {text_of(rng)}" for _ in range(9)]
    found = measure(train, [f"{header} {text_of(rng)}"], clusters=["same"] * 9)
    assert found.longest.tolist() == [30]
    assert found.train_documents == 1


def test_coverage_is_by_one_document(measure):
    rng = random.Random(4)
    passage = text_of(rng, 150).split()
    train = [" ".join(passage[i : i + 10]) for i in range(0, 150, 10)]
    assert measure(train, [" ".join(passage)]).covered.tolist() == pytest.approx([10 / 150])


def test_passages_too_short_to_judge_are_counted_apart(measure):
    found = measure(["a b c d e"], ["a b c d e", " ".join(WORDS[:20])])
    assert (len(found), found.too_short) == (1, 1)
    assert found.longest.tolist() == [0]


def test_runs_do_not_reach_over_passages(measure):
    rng = random.Random(5)
    long = text_of(rng, 800)
    found = measure([long], [long])
    assert len(found) == round(len(long) / 1000)
    assert (found.longest == found.words).all()
    assert found.words.sum() == 800
    assert found.covered.tolist() == pytest.approx([1.0] * len(found))


@settings(deadline=None, max_examples=100)
@given(st.text("ab é\n", max_size=400), st.integers(5, 60))
def test_passages_lose_no_text(text, size):
    parts = list(passages_of(text, num_bytes=size))
    assert "".join(parts) == text
    assert len(parts) <= max(1, round(len(text.encode()) / size + 0.5))


def test_a_script_without_spaces_is_read_by_characters():
    assert words("国" * 50) == ["国"] * 50
    assert words("Five Words, here: are (five)") == ["five", "words", "here", "are", "five"]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_longest_runs_are_those_of_a_plain_search(seed):
    from lmcore.evaluation.memory.contamination import LONG_WORDS, _hashes, _Table

    rng = random.Random(seed)
    # Words of a small vocabulary, so that chance makes runs of a few.
    train = rng.choices("abc", k=300)
    passages = [rng.choices("abc", k=rng.randrange(LONG_WORDS, 60)) for _ in range(3)]
    table = _Table([_hashes(p) for p in passages], 5, most=3, remember=True)
    table.meet(_hashes(train), 0)
    grams = {tuple(train[i : i + 5]) for i in range(len(train) - 4)}
    for passage, longest, covered in zip(
        passages, table.longest_runs(), table.covered_shares(), strict=True
    ):
        best = run = 0
        inside = np.zeros(len(passage), dtype=bool)
        for i in range(len(passage) - 4):
            hit = tuple(passage[i : i + 5]) in grams
            run = run + 1 if hit else 0
            best = max(best, run + 4 if run else 0)
            if hit:
                inside[i : i + 5] = True
        assert longest == best
        assert covered == pytest.approx(inside.mean())


@pytest.mark.parametrize("language", ["hi", "ta", "ar", "he", "zh", "ja", "th", "my", "km"])
def test_a_copy_is_found_in_every_script(measure, language):
    text = ARTICLE_1[language]
    found = measure([f"... {text} ..."], [text])
    assert found.longest.tolist() == found.words.tolist() == [len(words(text))]
    assert found.words[0] > 13
    assert not [word for word in words(text) if len(word) == 0 or word[0] in "\u093f\u0bbe\u0e31"]
