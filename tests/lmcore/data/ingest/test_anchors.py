"""Anchors: what a row hangs on, and which rows hang on the very same."""

from pathlib import Path

import numpy as np

from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest.anchors import Anchors

ONE, TWO, THREE = (bytes([value]) * 32 for value in (1, 2, 3))


def test_a_row_hangs_on_what_it_was_hung_on_and_else_on_itself(tmp_path: Path) -> None:
    anchors = Anchors(4, Scratch(tmp_path))
    assert [anchors[row] for row in range(4)] == [None] * 4
    anchors[1] = TWO
    anchors[2] = ONE + THREE
    ids = np.frombuffer(b"".join(bytes([value]) * 32 for value in (9, 8, 7, 6)), np.uint8)
    anchors.found_clusters(ids.reshape(4, 32))
    assert [anchors[row] for row in range(4)] == [b"\x09" * 32, TWO, ONE + THREE, b"\x06" * 32]
    assert anchors.of(2) == [ONE, THREE]
    assert anchors.of(1) == [TWO]
    assert anchors.first[2].tobytes() == ONE


def test_rows_are_together_that_have_all_anchors_in_common(tmp_path: Path) -> None:
    anchors = Anchors(6, Scratch(tmp_path))
    for row, value in enumerate([ONE + TWO, ONE, ONE + TWO, ONE, ONE + THREE, TWO]):
        anchors[row] = value
    assert anchors.same().first.tolist() == [0, 1, 0, 1, 4, 5]
    # Their smallest anchor alone says less.
    assert anchors.first[0].tolist() == anchors.first[1].tolist()
