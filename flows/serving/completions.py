"""A completion request, answered by an engine, in the form of OpenAI's reference.

In: a checked request and the version that answers it.  Out: one JSON object, or events as the text
is drawn.  Pieces come from the engine's thread; here they cross into the server's event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.prompts import Prompt, max_tokens
from flows.serving.protocol import CompletionRequest
from flows.serving.refusal import RefusalError
from lmcore.engine.ask import Ask, BusyError, End, Piece, Told
from lmcore.errors import LmcoreError
from lmcore.model.sampling import GenerationConfig

_LARGEST_SEED = 1 << 63
#: A nucleus of nothing means the likeliest token.
_LEAST_TOP_P = 1e-9
_FINISH: dict[End, str] = {
    "end": "stop",
    "stop": "stop",
    "length": "length",
    "late": "length",
    "filtered": "content_filter",
}


@dataclass(kw_only=True)
class _Choice:
    """One answer as it grows."""

    index: int
    prompt: Prompt
    ask: Ask
    pieces: list[Piece] = field(default_factory=list)
    end: End | None = None
    tokens: int = 0
    offset: int = 0
    begun: bool = False
    said: list[str] = field(default_factory=list)


class Completion:
    """A request under way.

    Args:
        request: What is asked.
        loaded: Who answers.
        prompts: Of `read_prompts`.
        limits: Of what is asked.

    Attributes:
        id: Of the answer.

    Make it in the event loop that waits for it.
    """

    def __init__(
        self,
        request: CompletionRequest,
        loaded: Loaded,
        prompts: Sequence[Prompt],
        limits: Limits,
    ) -> None:
        self._request, self._loaded = request, loaded
        self.id = f"cmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[tuple[_Choice, Piece]] = asyncio.Queue()
        seed = secrets.randbits(62) if request.seed is None else request.seed % _LARGEST_SEED
        deadline = time.monotonic() + limits.seconds
        self._choices: list[_Choice] = []
        for prompt in prompts:
            for _ in range(request.n or 1):
                index = len(self._choices)
                ask = self._ask(prompt, (seed + index) % _LARGEST_SEED, index, deadline)
                self._choices.append(_Choice(index=index, prompt=prompt, ask=ask))
        self.prompt_tokens = sum(len(prompt.ids) for prompt in prompts)

    def _ask(self, prompt: Prompt, seed: int, index: int, deadline: float) -> Ask:
        request = self._request

        def deliver(piece: Piece) -> None:
            # A loop that was closed has nobody waiting.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(
                    self._news.put_nowait, (self._choices[index], piece)
                )

        top_p = 1.0 if request.top_p is None else max(request.top_p, _LEAST_TOP_P)
        return Ask(
            prompt=prompt.ids,
            before=prompt.text,
            config=GenerationConfig(
                max_tokens=max_tokens(request),
                temperature=1.0 if request.temperature is None else request.temperature,
                top_p=top_p,
                stop=request.stops,
                forbidden=self._loaded.forbidden,
                seed=seed,
            ),
            deliver=deliver if request.stream else _Collected(deliver),
            likeliest=request.logprobs,
            tell_prompt=bool(request.echo) and request.logprobs is not None,
            deadline=deadline,
        )

    def begin(self) -> None:
        """Hand all prompts to the engine.

        Raises:
            RefusalError: If too many wait.
            ClosedError: If the version was replaced meanwhile.
        """
        assert self._loaded.engine is not None
        try:
            for choice in self._choices:
                self._loaded.engine.submit(choice.ask)
        except LmcoreError as error:
            self.cancel()
            if not isinstance(error, BusyError):
                raise
            raise RefusalError(
                429,
                f"{error}; try again in a second",
                code="rate_limit_exceeded",
                retry_after=1,
            ) from error

    def cancel(self) -> None:
        """Nobody waits any more."""
        for choice in self._choices:
            choice.ask.cancel()

    @property
    def texts(self) -> list[str]:
        """The prompt of each answer, as it was read."""
        return [choice.prompt.text for choice in self._choices]

    @property
    def outputs(self) -> list[str]:
        """What was drawn for each answer so far."""
        return ["".join(choice.said) for choice in self._choices]

    @property
    def completion_tokens(self) -> int:
        """Tokens drawn so far."""
        return sum(choice.tokens for choice in self._choices)

    @property
    def first_token_seconds(self) -> float | None:
        """From the request to its first token; None: none was drawn."""
        found = [c.ask.first_at - c.ask.asked_at for c in self._choices if c.ask.first_at]
        return min(found, default=None)

    async def _pieces(self) -> AsyncIterator[tuple[_Choice, Piece]]:
        """All pieces of all answers, until each has ended."""
        left = len(self._choices)
        while left:
            choice, piece = await self._news.get()
            if not piece.of_prompt:
                choice.said.append(piece.text)
                choice.tokens += sum(
                    token.token != self._loaded.tokenizer.end_id for token in piece.tokens
                )
            if piece.end is not None:
                choice.end = piece.end
                left -= 1
                self._check(choice)
            yield choice, piece

    def _check(self, choice: _Choice) -> None:
        if choice.end == "failed":
            raise RefusalError(500, "the model failed; the request was not answered")
        if choice.end == "cancelled":
            raise RefusalError(503, "the server is stopping", retry_after=5)
        if choice.end == "late" and choice.ask.first_at is None:
            raise RefusalError(
                429,
                "nothing could be drawn in time, as too much was asked; try again",
                code="rate_limit_exceeded",
                retry_after=5,
            )

    # -- in one piece ----------------------------------------------------------------------------

    async def answer(self) -> dict[str, Any]:
        """The whole answer."""
        async for choice, piece in self._pieces():
            choice.pieces.append(piece)
        echo = self._request.echo
        return self._object(
            [
                self._choice(choice, choice.pieces, before=choice.prompt.text if echo else "")
                for choice in self._choices
            ],
            usage=self._usage(),
        )

    # -- as it is drawn --------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events; the last says `[DONE]`."""
        request = self._request
        try:
            async for choice, piece in self._pieces():
                if piece.of_prompt:
                    choice.pieces.append(piece)
                    continue
                echoes = request.echo and not choice.begun
                pieces, choice.pieces, choice.begun = [*choice.pieces, piece], [], True
                before = choice.prompt.text if echoes else ""
                yield _event(self._object([self._choice(choice, pieces, before=before)]))
            if request.stream_options is not None and request.stream_options.include_usage:
                yield _event(self._object([], usage=self._usage()))
            yield b"data: [DONE]\n\n"
        except RefusalError as refusal:
            yield _event(refusal.body())
        finally:
            self.cancel()

    # -- objects ---------------------------------------------------------------------------------

    def _object(
        self, choices: list[dict[str, Any]], *, usage: dict[str, int] | None = None
    ) -> dict[str, Any]:
        found = {
            "id": self.id,
            "object": "text_completion",
            "created": self._created,
            "model": self._request.model,
            "system_fingerprint": self._loaded.fingerprint,
            "choices": choices,
        }
        return found if usage is None else {**found, "usage": usage}

    def _usage(self) -> dict[str, int]:
        read, drawn = self.prompt_tokens, self.completion_tokens
        return {
            "prompt_tokens": read,
            "completion_tokens": drawn,
            "total_tokens": read + drawn,
        }

    def _choice(self, choice: _Choice, pieces: Sequence[Piece], *, before: str) -> dict[str, Any]:
        end = pieces[-1].end
        return {
            "index": choice.index,
            "text": before + "".join(piece.text for piece in pieces),
            "logprobs": None if self._request.logprobs is None else self._logprobs(choice, pieces),
            "finish_reason": None if end is None else _FINISH.get(end, "stop"),
        }

    def _logprobs(self, choice: _Choice, pieces: Sequence[Piece]) -> dict[str, Any]:
        """Each token with its log-probability before any filter, and the likeliest in its place."""
        end_id = self._loaded.tokenizer.end_id
        # The end is told too: who asks for one token behind a prompt counts on one.
        told = [token for piece in pieces for token in piece.tokens]
        if choice.offset == 0 and not self._request.echo:
            choice.offset = len(choice.prompt.text)
        texts = [self._text(token.token) for token in told]
        offsets = []
        for token, text in zip(told, texts, strict=True):
            offsets.append(choice.offset)
            choice.offset += len(text) if token.token != end_id else 0
        return {
            "tokens": texts,
            "token_logprobs": [token.log_probability for token in told],
            "top_logprobs": [
                {self._text(other): value for other, value in reversed(token.likeliest)} or None
                for token in told
            ],
            "text_offset": offsets,
        }

    def _text(self, token: int) -> str:
        """A token as text; bytes that are none alone are shown as OpenAI does."""
        if token == self._loaded.tokenizer.end_id:
            return "<|endoftext|>"
        piece = self._loaded.tokenizer.pieces[token]
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)


class _Collected:
    """Hands on what was collected when an answer ends: nobody looks before."""

    def __init__(self, deliver: Any) -> None:
        self._deliver = deliver
        self._text: list[str] = []
        self._tokens: list[Told] = []
        self._of_prompt: list[Told] = []

    def __call__(self, piece: Piece) -> None:
        (self._of_prompt if piece.of_prompt else self._tokens).extend(piece.tokens)
        self._text.append(piece.text)
        if piece.end is None:
            return
        if self._of_prompt:
            self._deliver(Piece(tokens=tuple(self._of_prompt), of_prompt=True))
        text = "".join(self._text)
        self._deliver(Piece(text=text, tokens=tuple(self._tokens), end=piece.end))


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False, allow_nan=False)}\n\n".encode()
