"""Answers that are asked for once, whatever they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lmcore.content_store import ContentStore
from lmcore.errors import IntegrityError
from lmcore.evaluation.kept_parts import KeptPart, KeptParts, joined, split


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: float
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Mapping[str, Inner]
    rows: tuple[Inner, ...] = ()
    count: int = 0


class Asked:
    """Answers, and counts how often."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.times = answer, 0

    def __call__(self) -> Any:
        self.times += 1
        return self.answer


def kept(root: Path, **inputs: Any) -> KeptParts:
    return KeptParts(store=ContentStore(root), inputs={"of": "a test", **inputs})


def test_arrays_are_asked_for_once_and_come_back_to_the_bit(tmp_path: Path) -> None:
    answer = {
        "nats": np.array([0.1, np.nan, -np.inf], dtype=np.float32),
        "tokens": np.arange(6).reshape(2, 3),
        "planted": np.array(64),
        "where": np.array("in_run"),
    }
    ask = Asked(answer)
    first, again = (kept(tmp_path).arrays("free samples", ask) for _ in range(2))
    assert ask.times == 1
    assert first is answer
    assert list(again) == list(answer)
    for name, array in answer.items():
        assert (again[name].dtype, again[name].tobytes()) == (array.dtype, array.tobytes())
        assert again[name].shape == array.shape
    kept(tmp_path).arrays("other samples", ask)
    kept(tmp_path, seed=1).arrays("free samples", ask)
    assert ask.times == 3


def test_values_are_asked_for_once_and_come_back_equal(tmp_path: Path) -> None:
    answer = Outer(inner={"a": Inner(share=0.1 + 0.2)}, rows=(Inner(share=1e-300, name="é"),))
    ask = Asked(answer)
    found = [kept(tmp_path).value("bias", Outer, ask) for _ in range(2)]
    assert ask.times == 1
    assert found == [answer, answer]


def test_what_is_damaged_is_asked_for_again(tmp_path: Path) -> None:
    ask = Asked({"nats": np.ones(3)})
    kept(tmp_path).arrays("nats", ask)
    (folder,) = (tmp_path / KeptPart.kind).glob("[!.]*")
    (folder / "arrays.npz").write_bytes(b"PK nonsense")
    assert kept(tmp_path).arrays("nats", ask)["nats"].tolist() == [1, 1, 1]
    assert ask.times == 2


def test_what_another_release_wrote_is_one_sentence(tmp_path: Path) -> None:
    kept(tmp_path).value("bias", Inner, Asked(Inner(share=1)))
    with pytest.raises(IntegrityError, match="cannot be read by this release"):
        kept(tmp_path).value("bias", Outer, Asked(None))


def test_nothing_is_left_when_the_report_is_finished(tmp_path: Path) -> None:
    parts = kept(tmp_path)
    parts.arrays("nats", Asked({"nats": np.ones(3)}))
    parts.value("bias", Inner, Asked(Inner(share=1)))
    parts.clear()
    assert list((tmp_path / KeptPart.kind).glob("[!.]*")) == []
    parts.clear()


def test_without_a_store_each_is_asked_for() -> None:
    ask = Asked({"nats": np.ones(3)})
    for _ in range(2):
        KeptParts().arrays("nats", ask)
    assert ask.times == 2
    assert KeptParts().value("bias", Inner, Asked(Inner(share=1))) == Inner(share=1)


@given(st.lists(arrays_of.arrays(np.float32, st.integers(0, 5)), max_size=6))
def test_joined_arrays_are_split_into_the_same(each: list[Any]) -> None:
    found = split("nats", joined("nats", each))
    assert [one.tobytes() for one in found] == [one.tobytes() for one in each]
