"""The baselines do what their names say."""

from types import SimpleNamespace

import pytest

from lmcore.data.text.words import sentences
from lmcore.tasks.measures import baselines


def test_a_dictionary_learns_words_from_pairs_and_copies_what_it_does_not_know() -> None:
    pairs = [
        ("das haus ist rot", "the house is red"),
        ("das auto ist rot", "the car is red"),
        ("das haus ist alt", "the house is old"),
        ("ein auto", "a car"),
        ("ein haus", "a house"),
        ("alt", "old"),
        ("rot", "red"),
        ("das", "the"),
    ]
    dictionary = baselines.Dictionary(*zip(*pairs, strict=True))
    assert dictionary.translate("Das Auto ist alt 42") == "the car is old 42"
    assert baselines.Dictionary([], []).translate("a b") == "a b"


def test_a_dictionary_writes_words_in_every_script() -> None:
    pairs = [
        ("the house is red", "घर लाल है"),
        ("the car is red", "गाड़ी लाल है"),
        ("the house", "घर"),
        ("red", "लाल"),
        ("is", "है"),
        ("car", "गाड़ी"),
    ]
    dictionary = baselines.Dictionary(*zip(*pairs, strict=True))
    assert dictionary.translate("House red is car") == "घर लाल है गाड़ी"
    written = baselines.Dictionary(["cat", "big"] * 3, ["猫", "大"] * 3).translate("big cat 7")
    assert written == "大猫 7"


def test_sentences_and_leads() -> None:
    assert baselines.lead("यह एक है। वह दो है। तीन।", 2) == "यह एक है। वह दो है।"
    text = "One is here. Two follows! Is three? Yes\nFour"
    assert sentences(text) == ["One is here.", "Two follows!", "Is three?", "Yes", "Four"]
    assert baselines.lead(text, 2) == "One is here. Two follows!"
    document = SimpleNamespace(id="x", text=text)
    chosen = baselines.random_sentence(document)  # type: ignore[arg-type]
    assert chosen in sentences(text)
    assert chosen == baselines.random_sentence(document)  # type: ignore[arg-type]


def test_regression_learns_and_gives_probabilities() -> None:
    train = ["good film", "bad film", "good play", "bad play"] * 5
    labels = [1, 0] * 10
    guess, table = baselines.tfidf_regression(
        train, labels, train, labels, ["a good song", "a bad song"], num_labels=2
    )
    assert guess == [1, 0]
    assert table.sum(axis=1) == pytest.approx([1, 1])
    guess, table = baselines.tfidf_regression([""] * 3, [0, 1, 1], [], [], ["x"], num_labels=2)
    assert guess == [1]
    assert table[0] == pytest.approx([1 / 3, 2 / 3])
