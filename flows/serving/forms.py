"""How an answer looks: the objects of OpenAI's reference, of a text and of a conversation.

In: an answer as it grows, and the pieces that are to be told.  Out: values of JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from flows.serving.choice import Choice
from flows.serving.loaded import Loaded
from flows.serving.protocol import Drawing
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.engine.ask import End, Piece, Told

_FINISH: dict[End, str] = {
    "end": "stop",
    "stop": "stop",
    "length": "length",
    "late": "length",
    "filtered": "content_filter",
}


class Form(Protocol):
    """One of them.

    Attributes:
        begins: Of the id of an answer.
        whole: What the object of an answer in one piece is called.
        part: What that of a streamed one is called.
    """

    begins: str
    whole: str
    part: str

    def choice(self, choice: Choice, pieces: Sequence[Piece], *, before: str) -> dict[str, Any]:
        """One answer, in one piece.

        Args:
            choice: The answer.
            pieces: All of it.
            before: What it begins with.
        """
        ...

    def parts(
        self, choice: Choice, pieces: Sequence[Piece], *, before: str
    ) -> list[dict[str, Any]]:
        """What is new of one answer, as one event each.

        Args:
            choice: The answer; `begun` says whether something of it was told before.
            pieces: What is new.
            before: What it begins with.
        """
        ...


class TextForm:
    """Of `/v1/completions`.

    Args:
        request: What is asked.
        loaded: Who answers.
    """

    begins, whole, part = "cmpl-", "text_completion", "text_completion"

    def __init__(self, request: Drawing, loaded: Loaded) -> None:
        self._tells = request.likeliest is not None
        self._echoes, self._tokenizer = request.echoes, loaded.tokenizer

    def choice(self, choice: Choice, pieces: Sequence[Piece], *, before: str) -> dict[str, Any]:
        """One answer; see `Form`."""
        return {
            "index": choice.index,
            "text": before + _text(pieces),
            "logprobs": self._logprobs(choice, pieces) if self._tells else None,
            "finish_reason": _finish(pieces),
        }

    def parts(
        self, choice: Choice, pieces: Sequence[Piece], *, before: str
    ) -> list[dict[str, Any]]:
        """What is new; see `Form`."""
        return [self.choice(choice, pieces, before=before)]

    def _logprobs(self, choice: Choice, pieces: Sequence[Piece]) -> dict[str, Any]:
        """Each token with its log-probability before any filter, and the likeliest in its place."""
        # The end is told too: who asks for one token behind a prompt counts on one.
        told = _told(pieces)
        if choice.offset == 0 and not self._echoes:
            choice.offset = len(choice.prompt.text)
        texts = [shown(self._tokenizer, token.token) for token in told]
        offsets = []
        for token, text in zip(told, texts, strict=True):
            offsets.append(choice.offset)
            choice.offset += len(text) if token.token != self._tokenizer.end_id else 0
        return {
            "tokens": texts,
            "token_logprobs": [token.log_probability for token in told],
            "top_logprobs": [
                {shown(self._tokenizer, other): value for other, value in reversed(token.likeliest)}
                or None
                for token in told
            ],
            "text_offset": offsets,
        }


class ChatForm:
    """Of `/v1/chat/completions`.

    Args:
        request: What is asked.
        loaded: Who answers.
    """

    begins, whole, part = "chatcmpl-", "chat.completion", "chat.completion.chunk"

    def __init__(self, request: Drawing, loaded: Loaded) -> None:
        self._tells = request.likeliest is not None
        self._tokenizer = loaded.tokenizer

    def choice(self, choice: Choice, pieces: Sequence[Piece], *, before: str) -> dict[str, Any]:
        """One answer; see `Form`."""
        message = {"role": "assistant", "content": before + _text(pieces), "refusal": None}
        return self._object(choice, pieces, message=message, finish_reason=_finish(pieces))

    def parts(
        self, choice: Choice, pieces: Sequence[Piece], *, before: str
    ) -> list[dict[str, Any]]:
        """Who speaks, what is new, and why it ended; see `Form`."""
        found = []
        if not choice.begun:
            delta = {"role": "assistant", "content": before, "refusal": None}
            found.append(self._object(choice, (), delta=delta, finish_reason=None))
        text = _text(pieces)
        if text or (self._tells and self._spoken(choice, pieces)):
            delta = {"content": text}
            found.append(self._object(choice, pieces, delta=delta, finish_reason=None))
        if (finish := _finish(pieces)) is not None:
            found.append(self._object(choice, (), delta={}, finish_reason=finish))
        return found

    def _object(self, choice: Choice, pieces: Sequence[Piece], **values: Any) -> dict[str, Any]:
        logprobs = None
        if self._tells and pieces:
            spoken = self._spoken(choice, pieces)
            logprobs = {"content": [self._one(token) for token in spoken], "refusal": None}
        return {"index": choice.index, **values, "logprobs": logprobs}

    def _spoken(self, choice: Choice, pieces: Sequence[Piece]) -> list[Told]:
        """Tokens of the answer; what ends a turn is no part of what is said."""
        return [token for token in _told(pieces) if token.token not in choice.ends]

    def _one(self, told: Told) -> dict[str, Any]:
        """A token with its log-probability before any filter, and the likeliest in its place."""
        likeliest = [self._named(token, value) for token, value in told.likeliest]
        return {**self._named(told.token, told.log_probability), "top_logprobs": likeliest}

    def _named(self, token: int, log_probability: float | None) -> dict[str, Any]:
        return {
            "token": shown(self._tokenizer, token),
            "logprob": log_probability,
            "bytes": list(self._tokenizer.pieces[token]),
        }


def _text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _told(pieces: Sequence[Piece]) -> list[Told]:
    return [token for piece in pieces for token in piece.tokens]


def _finish(pieces: Sequence[Piece]) -> str | None:
    end = pieces[-1].end
    return None if end is None else _FINISH.get(end, "stop")


def shown(tokenizer: Tokenizer, token: int) -> str:
    """A token as text; bytes that are none alone are shown as OpenAI does."""
    if token == tokenizer.end_id:
        return "<|endoftext|>"
    piece = tokenizer.pieces[token]
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)
