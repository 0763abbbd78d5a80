"""Sizes of a batch among which a row never notices the others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from language_models import KINDS, language_model

from lmcore.engine.lanes import agreeing_sizes, tell
from lmcore.model.language_model import LanguageModel


def small() -> LanguageModel:
    return language_model("scratch")


def test_a_batch_only_has_sizes_that_agree() -> None:
    sizes = agreeing_sizes(small(), most=32)
    assert sizes[-1] == 32
    assert set(sizes) <= {1, 4, 8, 16, 32}


class Disagreeing:
    """A model whose rows look at how many they are, or at the first one.

    Args:
        model: Without that.
        by: Changes the logits [B, 1, V] of these tokens [B, 1].
    """

    def __init__(self, model: LanguageModel, by: Any) -> None:
        self._model, self._by = model, by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, tokens: torch.Tensor, state: Any) -> Any:
        logits, after = self._model(tokens, state)
        return logits + self._by(tokens), after


def test_a_size_that_does_not_agree_is_left_out() -> None:
    by_size: Any = Disagreeing(small(), lambda tokens: (len(tokens) == 8) * 1e-3)
    sizes = agreeing_sizes(by_size, most=32)
    assert 8 not in sizes
    assert sizes[-1] == 32


def test_rows_that_look_at_each_other_are_no_batch() -> None:
    by_others: Any = Disagreeing(small(), lambda tokens: tokens.float().mean() * 1e-4)
    assert agreeing_sizes(by_others, most=32) == (1,)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_whose_rows_depend_on_each_other_answers_one_at_a_time(kind: str) -> None:
    model = language_model(kind, end_id=0)
    sizes = agreeing_sizes(model, most=8)
    # Its attention has a cap, for which the library has no fused form.
    assert sizes == (1,) if kind == "gemma2" else sizes[-1] == 8


def test_a_row_tells_its_token_and_the_likeliest_by_hand() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]).log()
    first, second = tell(logits, [1, 2], 1)
    assert first.log_probability == pytest.approx(torch.tensor(0.25).log().item())
    assert first.likeliest == ((0, pytest.approx(torch.tensor(0.5).log().item())),)
    assert second.token == second.likeliest[0][0] == 2
    (untold,) = tell(logits[:1], [0], None)
    assert (untold.log_probability, untold.likeliest) == (None, ())
