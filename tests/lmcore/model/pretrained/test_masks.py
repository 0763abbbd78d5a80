"""What a token of a packed row may see."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lmcore.model.pretrained.masks import in_form, short_window, sliding_window, visible

CPU = torch.device("cpu")


def model(window: int | None = None, attention: str = "sdpa") -> Any:
    config = SimpleNamespace(sliding_window=window, _attn_implementation=attention)
    config.get_text_config = lambda: config
    return SimpleNamespace(config=config)


def rows(seen: torch.Tensor) -> list[str]:
    return ["".join("x" if cell else "." for cell in row) for row in seen]


def test_one_document_from_nothing_needs_no_mask() -> None:
    assert visible(torch.zeros(2, 4, dtype=torch.long), torch.tensor([0, 0]), 0) is None
    assert visible(torch.zeros(1, 1, dtype=torch.long), torch.tensor([3]), 3) is None


def test_a_token_sees_its_own_document_up_to_itself() -> None:
    seen = visible(torch.tensor([[0, 0, 1, 1, 1]]), torch.tensor([0]), 0)
    assert seen is not None
    assert rows(seen[0]) == ["x....", "xx...", "..x..", "..xx.", "..xxx"]


def test_what_was_kept_belongs_to_the_first_document_and_stands_on_the_right() -> None:
    seen = visible(torch.tensor([[0, 0, 1]] * 2), torch.tensor([3, 1]), 3)
    assert seen is not None
    assert rows(seen[0]) == ["xxxx..", "xxxxx.", ".....x"]
    assert rows(seen[1]) == ["..xx..", "..xxx.", ".....x"]


def test_a_sliding_window_counts_the_token_itself() -> None:
    seen = visible(torch.zeros(1, 2, dtype=torch.long), torch.tensor([3]), 3)
    assert seen is not None
    narrow = in_form(model(2), "sliding", seen, CPU)
    assert rows(narrow[0, 0]) == ["..xx.", "...xx"]
    both = in_form(model(2), "by layer", seen, CPU)
    assert rows(both["full_attention"][0, 0]) == ["xxxx.", "xxxxx"]
    assert torch.equal(both["sliding_attention"], narrow)
    for alike in (in_form(model(2), "alike", seen, CPU), in_form(model(9), "by layer", seen, CPU)):
        assert torch.equal(alike[:, 0], seen)


def test_other_attention_takes_what_is_added_to_scores() -> None:
    seen = torch.tensor([[[True, False], [True, True]]])
    added = in_form(model(attention="eager"), "alike", seen, CPU)
    assert added.tolist() == [[[[0.0, torch.finfo(torch.float32).min], [0.0, 0.0]]]]
    assert in_form(model(), "alike", None, CPU) is None


@pytest.mark.parametrize(("window", "inside"), [(9, 2), (None, None)])
def test_a_short_window_ends_with_its_block(window: int | None, inside: int | None) -> None:
    inner = model(window)
    with short_window(inner):
        assert sliding_window(inner) == inside
    assert sliding_window(inner) == window
