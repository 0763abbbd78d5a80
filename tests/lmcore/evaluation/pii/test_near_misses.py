"""Near misses: of every kind some, and none of them is personal data by its own rules."""

from lmcore.evaluation.pii.near_misses import NEAR_MISSES


def test_the_list_is_wide_and_says_nothing_twice() -> None:
    templates = [template for found in NEAR_MISSES.values() for template in found]
    assert len(templates) == len(set(templates)) >= 150
    assert all(template == template.strip() for template in templates)
    assert {"version", "section", "money", "hash", "date", "book", "order"} <= set(NEAR_MISSES)
