"""The recurrent + attention model as it is stored: weights beside a record of their shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM


class _WithoutInitialization(TorchFunctionMode):
    """Leave tensors as they are where a module would initialise them: weights follow from a file.

    On the meta device `normal_` would besides import the whole compiler, which takes a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))


def read_model(
    record: Mapping[str, Any], weights: dict[str, Tensor], device: torch.device | str
) -> RecurrentAttentionLM:
    """The model that a record and weights describe.

    Raises:
        ValueError, KeyError, TypeError, RuntimeError: If names, shapes or types do not fit.
    """
    config = ModelConfig.model_validate(record["config"])
    with torch.device("meta"), _WithoutInitialization():
        model = RecurrentAttentionLM(config, int(record["vocab_size"]), int(record["end_id"]))
    # Models were stored without a bias once; zeros are the same function.
    weights.setdefault("head_bias", torch.zeros(len(model.head_bias), device=device))
    model.load_state_dict(weights, strict=True, assign=True)
    return model
