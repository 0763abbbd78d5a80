"""The columns of distinct texts: the first of each, the strongest name, the sketches of all."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies.containment import Hashes
from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest import mapped_columns, staged_texts
from lmcore.data.ingest.mapped_columns import Bytes
from lmcore.data.ingest.staged_texts import TRAIN, UNNAMED, VALIDATION, StagedTexts


def ids(*values: int, begin: bytes = b"\x01" * 8) -> Bytes:
    """Ids that begin alike."""
    joined = b"".join(begin + value.to_bytes(24, "big") for value in values)
    return np.frombuffer(joined, np.uint8).reshape(len(values), 32)


def sketch_of(value: int) -> bytes | None:
    """As many hashes as it says, of an odd number."""
    return np.arange(value, dtype=np.uint32).tobytes() if value % 2 else None


def hashes_in(found: Iterable[Hashes]) -> list[tuple[int, int]]:
    """Row and hash, one by one."""
    pairs = (zip(rows.tolist(), hashes.tolist(), strict=True) for rows, hashes in found)
    return list(itertools.chain.from_iterable(pairs))


def add(
    texts: StagedTexts, values: list[int], *, first: int, named: int = UNNAMED, gap: int = 1
) -> None:
    """Stage texts that are told apart by a number, which is its size; odd ones have a sketch."""
    numbers = np.array(values, dtype=np.int64)
    sketches = [sketch_of(value) or b"" for value in values]
    texts.add(
        ids=ids(*values),
        forms=ids(*values)[:, 16:],
        sizes=numbers,
        named=named,
        stages=first + gap * np.arange(len(values)),
        sketches=(
            np.frombuffer(b"".join(sketches), np.uint8),
            np.array([len(sketch) for sketch in sketches], dtype=np.int64),
        ),
    )


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 9), max_size=8),
            st.sampled_from([UNNAMED, TRAIN, VALIDATION]),
        ),
        max_size=5,
    ),
    st.sampled_from([2, 1 << 16]),
)
def test_the_first_of_each_text_stays_with_the_strongest_name(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[tuple[list[int], int]],
    together: int,
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mapped_columns, "_BLOCK", together)
        patched.setattr(staged_texts, "_TOGETHER", together)
        texts = StagedTexts(folder, Scratch(folder, memory=10_000))
        first: dict[int, int] = {}
        names: dict[int, int] = {}
        copies, stage = [], 0
        for values, named in parts:
            add(texts, values, first=stage, named=named)
            for value in values:
                if first.setdefault(value, stage) != stage:
                    copies.append(stage)
                names[value] = max(names.get(value, UNNAMED), named)
                stage += 1
        assert texts.drop_copies().tolist() == copies
        assert len(texts) == len(first)
        assert texts.sizes.tolist() == list(first)
        assert texts.stages.tolist() == list(first.values())
        assert texts.named.tolist() == list(names.values())
        assert texts.ids.tolist() == ids(*first).tolist()
        assert texts.forms.tolist() == ids(*first)[:, 16:].tolist()
        assert texts.sizes[texts.in_order].tolist() == sorted(first)
        odd = [(row, value) for row, value in enumerate(first) if value % 2]
        expected = [(row, hashed) for row, value in odd for hashed in range(value)]
        assert hashes_in(texts.sketches.hashes()) == expected
        rows, reverse = np.arange(len(first))[::-1], list(first)[::-1]
        assert list(texts.sketches.of(rows)) == [sketch_of(value) for value in reverse]
        expected = [
            (place, hashed)
            for place, value in enumerate(reverse)
            if value % 2
            for hashed in range(value)
        ]
        assert hashes_in(texts.sketches.hashes(rows)) == expected
        texts.close()


def test_ids_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    texts = StagedTexts(tmp_path, Scratch(tmp_path))
    add(texts, [5, 1, 3, 7], first=0)
    texts.drop_copies()
    asked = np.concatenate([ids(1, 2, 3, 8), ids(1, begin=b"\0" * 8), ids(1, begin=b"\xff" * 8)])
    assert texts.has(asked).tolist() == [True, False, True, False, False, False]
    assert texts.has(asked[:0]).tolist() == []
    texts.close()


def test_sketches_can_be_put_behind_those_of_the_texts(tmp_path: Path) -> None:
    texts = StagedTexts(tmp_path, Scratch(tmp_path))
    add(texts, [1, 1, 2], first=0)
    texts.drop_copies()
    texts.sketches.append(np.frombuffer(b"more", np.uint8), np.array([0, 4]))
    more = int(np.frombuffer(b"more", np.uint32)[0])
    assert hashes_in(texts.sketches.hashes()) == [(0, 0), (3, more)]
    assert list(texts.sketches.of(np.array([3, 1, 0]))) == [b"more", None, sketch_of(1)]
    texts.close()
