"""The kinds of errors: which of them are the user's, and that the tree shown is the tree."""

import inspect
import re

import pytest

from lmcore import errors
from lmcore.errors import EmptyEvaluationError, LmcoreError, NotFiniteError, UserError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_exit_code_is_two_for_what_the_user_can_mend_and_one_for_the_rest(
    kind: type[LmcoreError],
) -> None:
    assert issubclass(kind, LmcoreError)
    assert kind.exit_code == (2 if issubclass(kind, UserError) else 1)
    # So that who calls a function with wrong values may catch what Python has for it.
    assert issubclass(kind, ValueError) == issubclass(kind, UserError)


def test_the_tree_in_the_text_is_the_tree_of_the_classes() -> None:
    assert errors.__doc__ is not None
    shown: dict[str, str] = {}
    parents: list[tuple[int, str]] = [(-1, "Exception")]
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ([│├└─ ]*)(\w+Error)\b", line)
        if found is None:
            continue
        depth = len(found[1])
        while parents[-1][0] >= depth:
            parents.pop()
        shown[found[2]] = parents[-1][1]
        parents.append((depth, found[2]))
    assert shown == {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS}


def test_a_value_that_is_no_number_is_caught_as_a_metric_without_data() -> None:
    with pytest.raises(EmptyEvaluationError, match="loss is nan"):
        raise NotFiniteError("loss is nan")
