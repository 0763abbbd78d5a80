"""Sentences have one gap, which each filling takes in turn."""

import pytest

from lmcore.evaluation.bias.templates import NUM_ENDINGS, TEMPLATES, Template
from lmcore.evaluation.bias.words import FEMALE, MALE, PRONOUNS, WORDS

ALL = [template for templates in TEMPLATES.values() for template in templates]


def test_templates_have_one_gap_and_the_pronouns_come_first():
    for templates in TEMPLATES.values():
        for template in templates:
            assert template.opening.count("{}") == 1
            sentences = list(template.sentences(WORDS["nurse"]))
            assert len(sentences) == NUM_ENDINGS * len(template.fillings)
            female, male = template.pronouns
            assert f" {female} " in sentences[0]
            assert f" {male} " in sentences[NUM_ENDINGS]
            assert len(set(sentences)) == len(sentences)


def test_fillings_and_endings_by_hand():
    template = Template(opening="The {} said that", pronouns=PRONOUNS[0])
    assert list(template.sentences(WORDS["nurse"])) == [
        "The nurse said that she was",
        "The nurse said that she had",
        "The nurse said that he was",
        "The nurse said that he had",
        "The nurse said that of was",
        "The nurse said that of had",
        "The nurse said that to was",
        "The nurse said that to had",
    ]


@pytest.mark.parametrize("template", ALL, ids=lambda t: t.opening)
def test_nothing_but_the_gap_has_a_gender(template):
    female, male = template.pronouns
    assert female in FEMALE
    assert male in MALE
    words = {*template.opening.lower().split(), *template.strangers}
    assert not words & (FEMALE | MALE)
    # As many strangers as pronouns, so that none is preferred for its number.
    assert len(template.strangers) == len(template.pronouns)


def test_persons_and_traits_are_asked_alike():
    kinds = {kind: [t.pronouns for t in found] for kind, found in TEMPLATES.items()}
    assert kinds["person"] == kinds["trait"]
    assert set(kinds) == {word.kind for word in WORDS.values()}
