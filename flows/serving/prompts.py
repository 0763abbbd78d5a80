"""The prompts of a request as a version reads them.

Where the version masks personal data in what it learns from, a prompt is masked the same way before
it is read, as it would otherwise be read as something that the model has never seen; `echo` shows
what was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.protocol import CompletionRequest
from flows.serving.refusal import RefusalError


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt as it is read.

    Attributes:
        text: As text.
        ids: As tokens, without the end token before them.
    """

    text: str
    ids: Sequence[int]


def read_prompts(request: CompletionRequest, loaded: Loaded, limits: Limits) -> list[Prompt]:
    """The prompts of a request, within the limits; tokenizing takes time.

    Raises:
        RefusalError: If there are too many, they are too long, or hold no token of this model.
    """
    given = request.prompts()
    if not given or len(given) * (request.n or 1) > limits.prompts:
        raise RefusalError(
            400 if not given else 413,
            f"{len(given)} prompts with {request.n or 1} answers each; expected 1 to"
            f" {limits.prompts} answers in a request",
            param="prompt",
        )
    answers = len(given) * (request.n or 1)
    wanted = max_tokens(request)
    if wanted > limits.max_tokens or wanted * answers > limits.answer_tokens:
        raise RefusalError(
            400,
            f"max_tokens={wanted} for {answers} answers; at most {limits.max_tokens} for one and"
            f" {limits.answer_tokens} in a request",
            param="max_tokens",
        )
    found: list[Prompt] = []
    total = 0
    for prompt in given:
        if isinstance(prompt, str):
            text = loaded.masking.apply(prompt)
            found.append(Prompt(text=text, ids=loaded.tokenizer.encode(text)))
        else:
            found.append(_of_ids(prompt, loaded))
        total += len(found[-1].ids)
        if total > limits.prompt_tokens:
            raise RefusalError(
                413,
                f"the prompts have more than {limits.prompt_tokens} tokens; ask in parts",
                param="prompt",
                code="context_length_exceeded",
            )
    return found


def _of_ids(ids: Sequence[int], loaded: Loaded) -> Prompt:
    size = len(loaded.tokenizer.pieces)
    if wrong := [token for token in ids if token >= size]:
        raise RefusalError(
            400, f"prompt: token {wrong[0]} is not one of {size} of this model", param="prompt"
        )
    return Prompt(text=loaded.tokenizer.decode(list(ids)), ids=ids)


def max_tokens(request: CompletionRequest) -> int:
    """Tokens of each answer, at most."""
    return 16 if request.max_tokens is None else request.max_tokens
