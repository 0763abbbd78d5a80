"""The codes are those that the model knows, and names in use for them count."""

import re

from lmcore.data.language_codes import KNOWN, UNDETERMINED, counts_as


def test_codes_are_of_iso_639_and_count_as_themselves() -> None:
    assert all(re.fullmatch("[a-z]{2,3}", code) for code in KNOWN)
    assert all(counts_as(code) == code for code in KNOWN)
    assert UNDETERMINED not in KNOWN


def test_varieties_count_as_the_language_that_is_known() -> None:
    assert counts_as("nn") == counts_as("nb") == "no"
    assert counts_as("yue") == "zh"
    assert counts_as("zxx") == UNDETERMINED
    assert counts_as("english") not in KNOWN
