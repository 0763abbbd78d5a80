"""Attention as shaded words: strongest darkest, what is no word of the text apart."""

import pytest

from lmcore.reporting.version.attention import attention_views
from lmcore.reporting.version.facts.report import AttentionMap


def views(*maps):
    return attention_views([AttentionMap(**entry) for entry in maps])


def shown(words, *shares, readers=("r", "s", "t", "u")):
    (view,) = views({"kind": "k", "readers": readers, "words": words, "shares": shares})
    return view


def test_shades_are_shares_of_the_strongest_word_in_the_picture():
    view = shown(["not", "bad"], [0.8, 0.2], [0.4, 0.6])
    assert [reader for reader, _, _ in view.rows] == ["r", "s"]
    shades = [[cell.shade for cell in cells] for _, cells, _ in view.rows]
    assert shades == [["1.00", "0.25"], ["0.50", "0.75"]]
    assert [cell.percent for cell in view.rows[0][1]] == ["80", "20"]
    assert not view.matrix
    assert view.rows[0][2] == "most: not 80%, bad 20%; 0% on no word of the text"


def test_what_stands_in_brackets_is_no_word_of_the_text():
    view = shown(["(start)", "a", "b", "()"], [0.5, 0.3, 0.1, 0.1])
    _, cells, told = view.rows[0]
    # It takes most, and is drawn no darker than the darkest word; empty brackets are a word.
    assert [cell.shade for cell in cells] == ["1.00", "1.00", "0.33", "0.33"]
    assert told == "most: a 30%, b 10%, () 10%; 50% on no word of the text"


def test_small_shares_have_no_figure_and_five_words_are_named():
    shares = [0.30, 0.25, 0.20, 0.15, 0.06, 0.04]
    _, cells, told = shown(list("abcdef"), shares).rows[0]
    assert [cell.percent for cell in cells] == ["30", "25", "20", "15", "6", ""]
    assert told.startswith("most: a 30%, b 25%, c 20%, d 15%, e 6%;")


@pytest.mark.parametrize(("count", "matrix"), [(1, False), (2, False), (3, True)])
def test_more_than_two_readers_are_a_matrix(count, matrix):
    view = shown(["a"], *[[1.0]] * count)
    assert view.matrix is matrix
    assert len(view.rows) == count


def test_nothing_but_zeros_is_drawn_white():
    _, cells, _ = shown(["a", "b"], [0.0, 0.0]).rows[0]
    assert {cell.shade for cell in cells} == {"0.00"}


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"readers": ["r"], "words": [], "shares": [[]]},
        {"readers": [], "words": ["a"], "shares": [[1.0]]},
        {"readers": ["r"], "words": ["a"], "shares": []},
        {"readers": ["r", "s"], "words": ["a", "b"], "shares": [[0.5, 0.5], [1.0]]},
    ],
)
def test_a_map_without_a_share_for_each_word_is_left_out(entry):
    whole = {"kind": "kept", "readers": ["r"], "words": ["a"], "shares": [[1.0]]}
    assert [view.title for view in views(entry, whole)] == ["kept"]


def test_a_map_without_end_is_cut():
    view = shown(["w"] * 700, *[[0.1] * 700] * 80, readers=["r"] * 80)
    assert (len(view.words), len(view.rows)) == (600, 60)
    assert {len(cells) for _, cells, _ in view.rows} == {600}
