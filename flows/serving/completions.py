"""A request for text, answered by an engine.

In: a checked request and the version that answers it.  Out: one JSON object, or events as the text
is drawn, in a form of `flows.serving.forms`.  Pieces come from the engine's thread; here they cross
into the server's event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from flows.serving.choice import Choice
from flows.serving.forms import Form
from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.prompts import Prompt
from flows.serving.protocol import Drawing
from flows.serving.refusal import RefusalError
from lmcore.engine.ask import Ask, BusyError, Piece
from lmcore.errors import LmcoreError
from lmcore.model.sampling import COLDEST, GenerationConfig

_LARGEST_SEED = 1 << 63
#: A nucleus of nothing means the likeliest token.
_LEAST_TOP_P = 1e-9


class Completion:
    """A request under way.

    Args:
        request: What is asked.
        loaded: Who answers.
        prompts: Of `read_prompts`.
        limits: Of what is asked.
        form: How the answer looks.
        client: Who asks.

    Attributes:
        id: Of the answer.

    Make it in the event loop that waits for it.
    """

    def __init__(
        self,
        request: Drawing,
        loaded: Loaded,
        prompts: Sequence[Prompt],
        limits: Limits,
        form: Form,
        client: str,
    ) -> None:
        self._client = client
        self._request, self._loaded, self._form = request, loaded, form
        self.id = f"{form.begins}{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[tuple[Choice, Piece]] = asyncio.Queue()
        seed = secrets.randbits(62) if request.seed is None else request.seed % _LARGEST_SEED
        deadline = time.monotonic() + limits.seconds
        self._choices: list[Choice] = []
        for prompt in prompts:
            ends = prompt.ends | {loaded.tokenizer.end_id}
            for _ in range(request.answers):
                index = len(self._choices)
                ask = self._ask(prompt, (seed + index) % _LARGEST_SEED, index, deadline)
                self._choices.append(Choice(index=index, prompt=prompt, ask=ask, ends=ends))
        self.prompt_tokens = sum(len(prompt.ids) for prompt in prompts)

    def _ask(self, prompt: Prompt, seed: int, index: int, deadline: float) -> Ask:
        request = self._request

        def deliver(piece: Piece) -> None:
            # A loop that was closed has nobody waiting.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(
                    self._news.put_nowait, (self._choices[index], piece)
                )

        temperature = 1.0 if request.temperature is None else request.temperature
        top_p = 1.0 if request.top_p is None else max(request.top_p, _LEAST_TOP_P)
        return Ask(
            prompt=prompt.ids,
            before=prompt.text,
            begins=prompt.begins,
            config=GenerationConfig(
                max_tokens=request.most_tokens,
                temperature=temperature if temperature >= COLDEST else 0.0,
                top_p=top_p,
                stop=request.stops,
                ends=prompt.ends,
                forbidden=self._loaded.forbidden,
                seed=seed,
            ),
            deliver=deliver,
            whole=not request.stream,
            likeliest=request.likeliest,
            tell_prompt=request.echoes and request.likeliest is not None,
            shared_with=self._client,
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
        """What a person wrote to have each answer, as it was read."""
        return [choice.prompt.asked for choice in self._choices]

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

    async def _pieces(self) -> AsyncIterator[tuple[Choice, Piece]]:
        """All pieces of all answers, until each has ended."""
        left = len(self._choices)
        while left:
            choice, piece = await self._news.get()
            if not piece.of_prompt:
                choice.said.append(piece.text)
                # Nothing follows what ends it.
                ended = bool(piece.tokens) and piece.tokens[-1].token in choice.ends
                choice.tokens += len(piece.tokens) - ended
            if piece.end is not None:
                choice.end = piece.end
                left -= 1
                self._check(choice)
            yield choice, piece

    def _check(self, choice: Choice) -> None:
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
        return self._object(
            self._form.whole,
            [self._form.choice(c, c.pieces, before=self._before(c)) for c in self._choices],
            usage=self._usage(),
        )

    # -- as it is drawn --------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events; the last says `[DONE]`."""
        name = self._form.part
        try:
            async for choice, piece in self._pieces():
                if piece.of_prompt:
                    choice.pieces.append(piece)
                    continue
                pieces, choice.pieces = [*choice.pieces, piece], []
                for part in self._form.parts(choice, pieces, before=self._before(choice)):
                    yield _event(self._object(name, [part]))
                choice.begun = True
            if self._request.tells_usage:
                yield _event(self._object(name, [], usage=self._usage()))
            yield b"data: [DONE]\n\n"
        except RefusalError as refusal:
            yield _event(refusal.body())
        finally:
            self.cancel()

    # -- objects ---------------------------------------------------------------------------------

    def _before(self, choice: Choice) -> str:
        """What the first that is told of an answer begins with."""
        return choice.prompt.text if self._request.echoes and not choice.begun else ""

    def _object(
        self, name: str, choices: list[dict[str, Any]], *, usage: dict[str, int] | None = None
    ) -> dict[str, Any]:
        found = {
            "id": self.id,
            "object": name,
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


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False, allow_nan=False)}\n\n".encode()
