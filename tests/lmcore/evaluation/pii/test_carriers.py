"""Sentences: one place for the span, and a label wherever a form asks for one."""

from lmcore.evaluation.pii import forms
from lmcore.evaluation.pii.carriers import CARRIERS, IDENTITY_LABELS, LANGUAGES


def test_every_sentence_has_one_place() -> None:
    assert all(text.count("{}") == 1 for found in CARRIERS.values() for text in found)
    assert set(LANGUAGES.values()) <= set(CARRIERS)


def test_every_form_that_needs_a_label_has_one() -> None:
    for country, (_, templates) in forms.IDENTITIES.items():
        if any(form.startswith("!") for form in templates):
            assert IDENTITY_LABELS[country]
