"""The classes of a classification are found, numbered and refused."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_so_many_labels_are_classes_and_one_more_is_not() -> None:
    many = [f"label {i}" for i in range(1_000)]
    assert len(find_labels(many * 2)) == 1_000
    with pytest.raises(SourceError, match="1,001 different labels in 2,002 train documents"):
        find_labels([*many, "another"] * 2)
    # Few texts may have few labels, however seldom each occurs.
    assert len(find_labels([f"label {i}" for i in range(50)])) == 50
    with pytest.raises(SourceError, match="51 different labels in 51"):
        find_labels([f"label {i}" for i in range(51)])


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", " a", "b\t", "c c", "", "ü"]), min_size=1, max_size=30))
def test_every_train_target_has_a_class_and_shares_are_how_often_it_occurs(
    targets: list[str],
) -> None:
    counts = Counter(target.strip() for target in targets)
    if len(counts) < 2:
        with pytest.raises(SourceError):
            find_labels(targets)
        return
    labels = find_labels(targets)
    assert labels.names == tuple(sorted(counts))
    assert labels.index(labels.names) == list(range(len(labels)))
    assert [labels.names[place] for place in labels.index(targets)] == [t.strip() for t in targets]
    assert labels.shares == pytest.approx([counts[name] / len(targets) for name in labels.names])
