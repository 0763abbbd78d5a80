"""What a call of a model consists of, as one call that torch goes through by itself.

In: a model, a function of tensors and a state that uses it, an example.  Out: the same function,
whose operations follow each other without the interpreter, which other threads have meanwhile.

A trace knows but the branches that its example took, so whoever makes one tries it.  Torch keeps
each as long as the process lives.  So weights are no part of it but given in each call, and models
of one shape, such as the versions of one model that follow each other, share their traces.

Torch calls this way of tracing deprecated; the ones that it names instead need a compiler where the
model answers, or run in the interpreter.
"""

from __future__ import annotations

import contextlib
import json
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.jit import optimized_execution  # type: ignore[attr-defined]

from lmcore.model.language_model import LanguageModel
from lmcore.model.state import State

#: What is read in a state, None the fresh one; what follows from it, and the state after it.
Call: TypeAlias = Callable[[Sequence[Tensor], State | None], tuple[Sequence[Tensor], State]]

# Shapes of models whose traces are kept; models of others are called as they are.
_MOST_SHAPES = 8
# Torch keeps a table of what is being traced, for all threads.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class _Trace:
    """What was traced once.

    Attributes:
        run: From what is read, the tensors of a state and the weights to what follows from them and
            the tensors of the state after it.
        after: The form of that state.
    """

    run: Callable[..., Sequence[Tensor]]
    after: State


_kept: dict[str, dict[str, _Trace]] = {}


def traced(
    name: str, model: LanguageModel, call: Call, read: Sequence[Tensor], state: State | None
) -> Call | None:
    """A call that torch goes through by itself; None where too many kinds of models were traced.

    Args:
        name: Of the call; a model of the same shape has the same call of this name.
        model: That it uses, and that nobody uses meanwhile; on a CPU.
        call: Itself.
        read: An example of what is read.
        state: The same; all states have its form.

    Raises:
        RuntimeError: If torch cannot trace it.
    """
    places = _places(model)
    weights = [place.tensor for place in places]
    shape = json.dumps([model.record(), [place.described for place in places]], default=str)
    with _LOCK:
        if shape not in _kept and len(_kept) >= _MOST_SHAPES:
            return None
        traces = _kept.setdefault(shape, {})
        if name not in traces:
            traces[name] = _trace(places, call, read, state)
        trace = traces[name]
    count = len(trace.after.tensors())

    def run(read: Sequence[Tensor], state: State | None) -> tuple[Sequence[Tensor], State]:
        # What torch makes of a trace in its first calls is hardly faster, and is kept beside it.
        with optimized_execution(False):
            found = trace.run(*flat(read, state), *weights)
        return found[:-count], trace.after.replaced(found[-count:])

    return run


def flat(tensors: Sequence[Tensor], state: State | None) -> list[Tensor]:
    """Tensors, and behind them those of a state."""
    return [*tensors, *([] if state is None else state.tensors())]


@dataclass(frozen=True)
class _Place:
    """Where a module has a weight."""

    module: nn.Module
    name: str
    tensor: Tensor

    @property
    def described(self) -> list[Any]:
        """What a trace knows of it."""
        return [self.name, list(self.tensor.shape), self.tensor.dtype, self.tensor.layout]


def _places(model: nn.Module) -> list[_Place]:
    return [
        _Place(module, name, tensor)
        for module in model.modules()
        for name, tensor in module._parameters.items()
        if tensor is not None
    ]


@contextlib.contextmanager
def _replaced(places: Sequence[_Place], tensors: Sequence[Tensor]) -> Iterator[None]:
    """Other tensors in the place of weights."""
    try:
        _put(places, tensors)
        yield
    finally:
        _put(places, [place.tensor for place in places])


def _put(places: Sequence[_Place], tensors: Sequence[Tensor]) -> None:
    for place, tensor in zip(places, tensors, strict=True):
        place.module._parameters[place.name] = tensor  # type: ignore[assignment]
    for module in {place.module for place in places}:
        if isinstance(module, nn.RNNBase):
            # It has a list of its own, too.
            module._flat_weights = [module._parameters[name] for name in module._flat_weights_names]


def _trace(
    places: Sequence[_Place], call: Call, read: Sequence[Tensor], state: State | None
) -> _Trace:
    given, first = len(read), len(flat(read, state))
    # Torch keeps the function as long as the trace; what it works on is not to be kept with it.
    used = [(places, call, state)]
    forms: list[State] = []

    def function(*tensors: Tensor) -> tuple[Tensor, ...]:
        ((places, call, state),) = used
        with _replaced(places, tensors[first:]):
            before = state and state.replaced(tensors[given:first])
            found, after = call(tensors[:given], before)
        forms.append(after)
        return tuple(flat(found, after))

    # A tensor that stands in two places would be taken for one input.
    inputs = (*(tensor.clone() for tensor in flat(read, state)), *(p.tensor for p in places))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The example would be kept with the trace.
            run = torch.jit.trace(  # type: ignore[no-untyped-call]
                function, inputs, check_trace=False, _store_inputs=False
            )
    finally:
        used.clear()
    # Without the tensors of the example.
    after = forms.pop().map(lambda tensor: tensor.new_empty(0))
    return _Trace(run=run, after=after)
