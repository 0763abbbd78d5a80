"""The classes of a classification are found, numbered and refused."""

import pytest

from lmcore.errors import SourceError
from lmcore.tasks.labels import UNKNOWN, find_labels


def test_labels_are_classes() -> None:
    labels = find_labels(["b", " a ", "b", "b"])
    assert labels.names == ("a", "b")
    assert labels.shares == (0.25, 0.75)
    assert labels.index(["b", "c", None]) == [1, UNKNOWN, UNKNOWN]
    with pytest.raises(SourceError, match="at least two"):
        find_labels(["a", "a"])
    with pytest.raises(SourceError, match="does target_field name the label"):
        find_labels([f"text {i}" for i in range(100)])
