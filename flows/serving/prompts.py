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
from flows.serving.protocol import ChatRequest, CompletionRequest, Drawing
from flows.serving.refusal import RefusalError
from lmcore.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt as it is read.

    Attributes:
        text: As text.
        ids: As tokens, without the end token before them.
        asked: What a person wrote of it.
        ends: Ids that end its answer, beside the end token.
        begins: Whether it is the beginning of a document, or what comes after one.
    """

    text: str
    ids: Sequence[int]
    asked: str
    ends: frozenset[int] = frozenset()
    begins: bool = True


def read_prompts(
    request: CompletionRequest | ChatRequest, loaded: Loaded, limits: Limits
) -> list[Prompt]:
    """The prompts of a request, within the limits; tokenizing takes time.

    Raises:
        RefusalError: If there are too many, they are too long, hold no token of this model, or it
            knows no conversations.
    """
    if isinstance(request, ChatRequest):
        _check_answers(1, request, limits)
        found = [_of_chat(request, loaded)]
        _check_length(found, limits, param="messages")
        return found
    given = request.prompts()
    _check_answers(len(given), request, limits)
    found = []
    for prompt in given:
        found.append(
            _of_text(prompt, loaded) if isinstance(prompt, str) else _of_ids(prompt, loaded)
        )
        _check_length(found, limits, param="prompt")
    return found


def _check_answers(num_prompts: int, request: Drawing, limits: Limits) -> None:
    answers, wanted = num_prompts * request.answers, request.most_tokens
    if not num_prompts or answers > limits.prompts:
        raise RefusalError(
            400 if not num_prompts else 413,
            f"{num_prompts} prompts with {request.answers} answers each; expected 1 to"
            f" {limits.prompts} answers in a request",
            param="prompt",
        )
    if wanted > limits.max_tokens or wanted * answers > limits.answer_tokens:
        raise RefusalError(
            400,
            f"max_tokens={wanted} for {answers} answers; at most {limits.max_tokens} for one and"
            f" {limits.answer_tokens} in a request",
            param="max_tokens",
        )


def _check_length(prompts: Sequence[Prompt], limits: Limits, *, param: str) -> None:
    if sum(len(prompt.ids) for prompt in prompts) > limits.prompt_tokens:
        raise RefusalError(
            413,
            f"the prompts have more than {limits.prompt_tokens} tokens; ask in parts",
            param=param,
            code="context_length_exceeded",
        )


def _of_text(prompt: str, loaded: Loaded) -> Prompt:
    text = loaded.masking.apply(prompt)
    return Prompt(text=text, ids=loaded.tokenizer.encode(text), asked=text)


def _of_ids(ids: Sequence[int], loaded: Loaded) -> Prompt:
    size = len(loaded.tokenizer.pieces)
    if wrong := [token for token in ids if token >= size]:
        raise RefusalError(
            400, f"prompt: token {wrong[0]} is not one of {size} of this model", param="prompt"
        )
    text = loaded.tokenizer.decode(list(ids))
    return Prompt(text=text, ids=ids, asked=text)


def _of_chat(request: ChatRequest, loaded: Loaded) -> Prompt:
    if loaded.conversations is None:
        raise RefusalError(
            400,
            f"{loaded.version.model} has no chat template, so it knows no roles; send the text that"
            " it is to continue to /v1/completions",
            param="model",
        )
    said = [{**one, "content": loaded.masking.apply(one["content"])} for one in request.said()]
    try:
        read = loaded.conversations.read(said)
    except UserError as error:
        raise RefusalError(400, f"messages: {error}", param="messages") from error
    return Prompt(
        text=read.text,
        ids=read.ids,
        asked="\n\n".join(one["content"] for one in said if one["role"] == "user"),
        ends=loaded.conversations.ends,
        begins=False,
    )
