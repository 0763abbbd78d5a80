"""Leave a step of training in its middle: a large model takes seconds for one.

Nothing is applied to the weights before a step's gradient stands, so a step that was left has not
happened: the run stands after the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

# Between two questions whether to stop, at most about.
PATIENCE_SECONDS = 0.5


class LeftError(Exception):
    """What was being computed was left, as the user asked to stop."""


@contextmanager
def leaving(model: nn.Module, asked: Callable[[], bool]) -> Iterator[None]:
    """Inside, each layer of the model asks first whether to stop.

    A layer is a member of an `nn.ModuleList`.  The gradient is found without asking: it takes about
    twice as long as the layers together.

    Args:
        model: What is computed inside.
        asked: Whether to stop.

    Raises:
        LeftError: If so.
    """

    def ask(*_: object) -> None:
        if asked():
            raise LeftError

    with ExitStack() as hooks:
        for layers in model.modules():
            for layer in layers if isinstance(layers, nn.ModuleList) else ():
                hooks.callback(layer.register_forward_pre_hook(ask).remove)
        yield
