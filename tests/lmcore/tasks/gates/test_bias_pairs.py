"""Texts with their gendered words exchanged, and what a classifier says of both."""

from lmcore.tasks.gates.bias_pairs import exchanged


def test_gendered_words_are_exchanged_and_counted() -> None:
    assert exchanged("She met the actors and her brother.") == (
        "He met the actors and his sister.",
        1,
    )
    assert exchanged("nothing here") == ("nothing here", 0)
