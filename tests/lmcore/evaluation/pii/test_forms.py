"""The list of forms: each can be filled, and each country has some of its own."""

import random

import pytest

from lmcore.evaluation.pii import forms
from lmcore.evaluation.pii.filling import fill_identity, fill_phone


@pytest.mark.parametrize("region", forms.PHONES)
def test_every_telephone_form_is_one_of_the_plan(region: str) -> None:
    for form in forms.PHONES[region]:
        assert form == form.strip()
        fill_phone(form.removeprefix("!"), region, random.Random(region))


@pytest.mark.parametrize("country", forms.IDENTITIES)
def test_every_identity_number_can_be_made_up(country: str) -> None:
    rule, templates = forms.IDENTITIES[country]
    for form in templates:
        fill_identity(form.removeprefix("!"), rule, random.Random(country))


def test_the_list_is_wide() -> None:
    assert len(forms.PHONES) >= 45
    assert len(forms.IDENTITIES) >= 30
    assert sum(map(len, forms.PHONES.values())) >= 150
