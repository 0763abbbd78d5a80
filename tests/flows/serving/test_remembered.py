"""Answers that were given lately."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.serving import remembered
from flows.serving.refusal import RefusalError
from flows.serving.remembered import Answered, Remembered


def answered(identity: str, *, size: int = 1, **changes: Any) -> Answered:
    version: Any = SimpleNamespace(model="speeches", number=1)
    texts = ["x" * size] * 2
    return Answered(
        id=identity, version=version, client="shop", texts=texts, outputs=["a", "b"], **changes
    )


def refused(memory: Remembered, identity: str, index: int = 0, model: str = "speeches") -> int:
    with pytest.raises(RefusalError) as caught:
        memory.recall(identity, index, model)
    return caught.value.status


def test_an_answer_is_judged_once() -> None:
    memory = Remembered()
    memory.add(answered("one"))
    assert memory.recall("one", 0, "speeches").outputs[0] == "a"
    assert refused(memory, "one", 0) == 409
    assert memory.recall("one", 1, "speeches").outputs[1] == "b"
    assert refused(memory, "one", 2) == 400
    assert refused(memory, "two") == 404
    assert refused(memory, "one", 0, "others") == 404


def test_it_is_bounded_in_number_size_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MOST", 3)
    memory = Remembered()
    for number in range(5):
        memory.add(answered(str(number)))
    assert refused(memory, "1") == 404
    memory.recall("2", 0, "speeches")
    monkeypatch.setattr(remembered, "_MOST_CHARACTERS", 100)
    memory.add(answered("large", size=48))
    assert refused(memory, "4") == 404
    memory.recall("large", 0, "speeches")
    memory.add(answered("old", at=0.0))
    assert refused(memory, "old") == 404
