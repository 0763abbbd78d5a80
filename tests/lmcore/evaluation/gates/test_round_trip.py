from hypothesis import given
from hypothesis import strategies as st

from lmcore.evaluation.gates.round_trip import shortened


@given(before=st.text(max_size=200), after=st.text(max_size=200))
def test_an_example_is_short_and_safe_to_print(before, after):
    for shown in shortened(before, after):
        assert shown.isprintable()
        assert len(shown) <= 2 + 40 * len(r"\U0010ffff")


def test_an_example_begins_a_little_before_the_difference():
    one, other = shortened("x" * 100 + "A" + "y" * 100, "x" * 100 + "a" + "y" * 100)
    assert one == f'"{"x" * 10}A{"y" * 29}"'
    assert other == f'"{"x" * 10}a{"y" * 29}"'
    # The same letter in two forms of Unicode.
    assert shortened("caf\u00e9", "cafe\u0301") == (r'"caf\xe9"', r'"cafe\u0301"')
    # An end token in the midst of a text.
    assert shortened("a b", "a[end of text] b")[1] == '"a[end of text] b"'
