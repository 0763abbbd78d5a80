"""What is planted is known: where it stands, and that it is the same for the same seed."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.text.privacy import iban_valid, luhn_valid
from lmcore.evaluation.pii import forms
from lmcore.evaluation.pii.planting import Planted, plant, plant_near_misses


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1 << 32))
def test_planted_numbers_are_valid_and_only_in_their_place(seed: int) -> None:
    for item in plant(seed, count=3):
        compact = "".join(c for c in item.span if c.isalnum()).upper()
        if item.kind == "CARD":
            assert luhn_valid(compact)
        if item.kind == "IBAN":
            assert iban_valid(compact)
        assert item.text.count(item.span) == 1
        assert item.text == item.before + item.span + item.after


def test_each_form_is_planted_as_often_as_the_others() -> None:
    found = plant(1)
    assert Counter(item.kind for item in found) == dict.fromkeys(
        ("CARD", "EMAIL", "IBAN", "ID", "IP", "PHONE", "SSN"), 300
    )
    assert {item.region for item in found if item.kind == "PHONE"} == set(forms.PHONES)
    assert {item.region for item in found if item.kind == "ID"} == set(forms.IDENTITIES)
    assert found == plant(1) != plant(2)
    assert any("\u202f" in item.span for item in found)


def test_near_misses_hold_no_mark_any_more() -> None:
    found = plant_near_misses(1, each=2)
    assert not any(mark in item.span for item in found for mark in "¤¦ª")
    assert found == plant_near_misses(1, each=2)


def test_half_a_number_left_or_a_word_lost_is_a_miss() -> None:
    item = Planted(kind="CARD", before="pay ", span="4111111111111111", after=" now")
    assert item.masked_in("pay <CARD> now")
    for result in ("pay <CARD>1111 now", "pay <CARD>", "<CARD> now", "pay  now", item.text):
        assert not item.masked_in(result)
