"""Continue a prompt: streaming, seeded, in constant memory.

In: a model, a tokenizer, prompts. Out: pieces of text or whole generations.
The model's state is all that is kept of the past, so a token costs the same after ten
tokens and after ten thousand. Each prompt has its own random generator, so
its continuation does not depend on its neighbours in a batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lmcore.model.continuation import Continuation, Generation, TextCodec, advance
from lmcore.model.language_model import LanguageModel
from lmcore.model.sampling import GenerationConfig
from lmcore.model.state import State

__all__ = ["Generation", "GenerationConfig", "generate", "generate_batch", "stream_generate"]

# Tokens of a prompt, and of all prompts together, that are read at once.
_PREFILL_TOKENS = 512
_PREFILL_BATCH_TOKENS = 4096
# Below this many parameters one core reads the weights as fast as several, which would only
# wait for each other, on a busy machine for milliseconds a token.
_ONE_CORE_PARAMETERS = 20_000_000


def stream_generate(
    model: LanguageModel, tokenizer: TextCodec, prompt: str, config: GenerationConfig
) -> Iterator[str]:
    """Yield the continuation in pieces that never split a character or reveal a stop string."""
    lane = Continuation(tokenizer, config, seed=config.seed, prompt=prompt)
    yield from _stream(model, tokenizer, prompt, lane)


def generate(
    model: LanguageModel, tokenizer: TextCodec, prompt: str, config: GenerationConfig
) -> Generation:
    """Continue one prompt."""
    lane = Continuation(tokenizer, config, seed=config.seed, prompt=prompt)
    return lane.result(_stream(model, tokenizer, prompt, lane))


def generate_batch(
    model: LanguageModel,
    tokenizer: TextCodec,
    prompts: Sequence[str],
    config: GenerationConfig,
) -> list[Generation]:
    """Continue several prompts, as many together as suits the model.

    The one at index i uses the seed `config.seed + i`.
    """
    together = model.reading.written
    return [
        generation
        for start in range(0, len(prompts), together)
        for generation in _together(
            model, tokenizer, prompts[start : start + together], config, first=start
        )
    ]


def _together(
    model: LanguageModel,
    tokenizer: TextCodec,
    prompts: Sequence[str],
    config: GenerationConfig,
    *,
    first: int,
) -> list[Generation]:
    lanes = [
        Continuation(tokenizer, config, seed=config.seed + first + index, prompt=prompt)
        for index, prompt in enumerate(prompts)
    ]
    texts: list[list[str]] = [[] for _ in prompts]
    active = [index for index, lane in enumerate(lanes) if lane.finish is None]
    with inference(model):
        if active:
            logits, state = prefill(model, [tokenizer.encode(prompts[index]) for index in active])
            state = model.stepping(state)
        while active:
            drawn = advance([lanes[index] for index in active], logits)
            for index, (_, piece) in zip(active, drawn, strict=True):
                texts[index].append(piece)
            rows = [row for row, index in enumerate(active) if lanes[index].finish is None]
            if not rows:
                break
            if len(rows) < len(active):
                state = state.select(rows)
                active = [active[row] for row in rows]
            step = torch.tensor([[drawn[row][0]] for row in rows], device=logits.device)
            chunk, state = model(step, state)
            logits = chunk[:, -1]
    return [lane.result(text) for lane, text in zip(lanes, texts, strict=True)]


def inference(model: LanguageModel) -> contextlib.AbstractContextManager[None]:
    """No gradients and, for a small model, one core; both end with the block."""
    return _inference(one_core=model.num_parameters < _ONE_CORE_PARAMETERS)


@contextlib.contextmanager
def _inference(*, one_core: bool) -> Iterator[None]:
    threads = torch.get_num_threads()
    if one_core:
        torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        if one_core:
            torch.set_num_threads(threads)


def _stream(
    model: LanguageModel, tokenizer: TextCodec, prompt: str, lane: Continuation
) -> Iterator[str]:
    if lane.finish is not None:
        return
    one_core = model.num_parameters < _ONE_CORE_PARAMETERS
    with _inference(one_core=one_core):
        logits, state = prefill(model, [tokenizer.encode(prompt)])
        state = model.stepping(state)
    while lane.finish is None:
        # Entered anew for each token: the mode must not leak into the caller between pieces.
        with _inference(one_core=one_core):
            ((token, piece),) = advance([lane], logits)
            if lane.finish is None:
                chunk, state = model(torch.tensor([[token]], device=logits.device), state)
                logits = chunk[:, -1]
        if piece:
            yield piece


def prefill(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, State]:
    """Read [end] + prompt for each prompt; those of equal length together, in chunks.

    Memory does not depend on the length of a prompt. Call it under `inference`.

    Returns:
        Logits of each prompt's first new token [P, V], and the state, P lanes.
    """
    device = model.device
    groups: dict[int, list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(len(prompt), []).append(index)
    read = []
    for members in groups.values():
        ids = torch.tensor([[model.end_id, *prompts[index]] for index in members])
        state = model.fresh_state(len(members))
        features = None
        length = min(_PREFILL_TOKENS, max(1, _PREFILL_BATCH_TOKENS // len(members)))
        for start in range(0, ids.shape[1], length):
            chunk = ids[:, start : start + length].to(device)
            features, state = model.features(chunk, state)
        assert features is not None
        read.append((model.logits(features.last()), state))
    order = [index for members in groups.values() for index in members]
    places = sorted(range(len(order)), key=order.__getitem__)
    logits = torch.cat([logits for logits, _ in read])[places]
    return logits, State.concatenate([state for _, state in read]).select(places)
