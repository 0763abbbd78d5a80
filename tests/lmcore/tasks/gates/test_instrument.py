"""The gate `instrument` of tasks notices what gives an answer away."""

from collections.abc import Callable
from typing import Any

import pytest
from library_tokenizers import END, byte_level, whole_words

from lmcore.controls.bench import ControlBench
from lmcore.controls.control import Control
from lmcore.controls.tasks.instrument import CONTROLS
from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.gates.instrument import _another, _instrument, own_label_share

Rows = Callable[..., list[tuple[str, str]]]


def test_texts_that_name_their_own_label_are_noticed() -> None:
    own, other = own_label_share(
        ["pos : fine", "neg : dull", "pos !", "nothing"], ["pos", "neg", "pos", "neg"]
    )
    assert (own, other) == (0.75, 0.0)


@pytest.mark.parametrize("made", [byte_level, whole_words])
def test_another_token_is_never_the_end(made: Callable[[], Any]) -> None:
    library = made()
    size, end_id = library.get_vocab_size(), library.token_to_id(END)
    tokenizer = BorrowedTokenizer(library.to_str(), vocab_size=size, end_id=end_id)
    found = [_another(token, tokenizer) for token in range(size)]
    assert set(found) <= set(range(size)) - {end_id}
    assert all(other != token for token, other in enumerate(found))


@pytest.mark.parametrize("split", ["train", "base", "validation"])
def test_a_tokenizer_may_come_with_the_base(split: str) -> None:
    found = _instrument({}, faults=[], seen_by_base=0, tokenizer_split=split, facts={})
    assert bool(found.faults) == (split == "validation")
    assert ("gone on from" in found.tokenizer) == (split == "base")


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_the_gate_tells_broken_from_sound(control: Control, tmp_path) -> None:
    result = control.run(ControlBench(seed=1, folder=tmp_path))
    assert control.as_expected(result), result.reason


@pytest.mark.slow
def test_a_label_in_the_text_is_caught(
    bench: Any, reviews: Rows, scratch: FineTuningConfig
) -> None:
    rows = [(f"{text} {label}", label) for text, label in reviews(200)]
    config = bench.config("sentiment", rows, max_steps=20)
    report = bench.judge(config, bench.train(config, settings=scratch))
    gate = next(g for g in report.verdict().results if g.gate == "instrument")
    assert gate.outcome == "FAIL"
    assert "read off" in gate.reason
