"""Values as JSON has them, drawn."""

from typing import Any

from hypothesis import strategies as st


def json_values(*, max_leaves: int) -> st.SearchStrategy[Any]:
    """Any finite value whose texts are text."""
    text = st.text(st.characters(exclude_categories=["Cs"]))
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=max_leaves,
    )
