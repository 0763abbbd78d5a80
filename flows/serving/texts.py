"""Requests for text: handed to the version in use, measured, and remembered where that is wanted.

In: requests for completions or answers of a conversation.  Out: their answers, in one piece or as
they are drawn.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.responses import JSONResponse, StreamingResponse

from flows.serving.access import ANYBODY
from flows.serving.completions import Completion
from flows.serving.desk import Desk
from flows.serving.forms import ChatForm, TextForm
from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.measures import Measures
from flows.serving.prompts import read_prompts
from flows.serving.protocol import ChatRequest, CompletionRequest
from flows.serving.recorder import Recorder
from flows.serving.refusal import RefusalError, parse, read
from flows.serving.remembered import Answered
from flows.serving.request_count import RequestCount
from lmcore.engine.ask import ClosedError

_TRIES = 5
#: Characters or tokens of prompts that are read in the event loop.
_READ_AT_ONCE = 4096


class Texts:
    """Answers them.

    Args:
        desk: Versions that answer.
        measures: To be counted in.
        recorder: Keeps what is asked, where that is wanted.
        limits: Of what is asked.
    """

    def __init__(self, desk: Desk, measures: Measures, recorder: Recorder, limits: Limits) -> None:
        self._desk, self._measures, self._limits = desk, measures, limits
        self._recorder = recorder

    async def answer(
        self,
        request: Request,
        kind: type[CompletionRequest | ChatRequest],
        form: type[TextForm | ChatForm],
        *,
        route: str,
    ) -> JSONResponse | StreamingResponse:
        """Answer one.

        Args:
            request: Over HTTP.
            kind: What its body is.
            form: How its answer looks.
            route: As measures name it.

        Raises:
            RefusalError: If it is wrong, or cannot be answered now.
        """
        count = RequestCount(self._measures, route, request)
        try:
            asked = read(kind, parse(await request.body()))
            loaded, completion = await self._begin(asked, count, form, client_of(request))
        except RefusalError as refusal:
            count.end(refusal.status)
            raise
        headers = headers_of(loaded)
        if asked.stream:
            return StreamingResponse(
                self._streamed(completion, count, loaded, client_of(request)),
                media_type="text/event-stream",
                headers={**headers, "Cache-Control": "no-store", "X-Accel-Buffering": "no"},
            )
        gone = asyncio.create_task(_gone(request))
        answer = asyncio.create_task(completion.answer())
        status = 499
        try:
            await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                return JSONResponse({}, status_code=status)
            try:
                values = answer.result()
                status = 200
                self._remember(completion, loaded, client_of(request))
            except RefusalError as refusal:
                status = refusal.status
                raise
            return JSONResponse(values, headers=headers)
        finally:
            completion.cancel()
            gone.cancel()
            answer.cancel()
            count.drawn(completion)
            count.end(status)

    async def _begin(
        self,
        asked: CompletionRequest | ChatRequest,
        count: RequestCount,
        form: type[TextForm | ChatForm],
        client: str,
    ) -> tuple[Loaded, Completion]:
        """Hand a request to the version that is in use now."""
        for _ in range(_TRIES):
            loaded = await take(self._desk, asked.model)
            count.model = loaded.version.model
            if loaded.is_task:
                raise RefusalError(
                    400,
                    f"{loaded.version.model} is a model for {loaded.version.task}; ask it at"
                    " /v1/predict",
                    param="model",
                )
            reading = functools.partial(read_prompts, asked, loaded, self._limits)
            # A thread for a few words would take longer than reading them.
            few = asked.size <= _READ_AT_ONCE
            prompts = reading() if few else await asyncio.to_thread(reading)
            completion = Completion(
                asked, loaded, prompts, self._limits, form(asked, loaded), client
            )
            try:
                completion.begin()
            except ClosedError:  # it was replaced in between
                continue
            count.begun(loaded)
            return loaded, completion
        raise RefusalError(503, "versions change faster than a request begins", retry_after=1)

    async def _streamed(
        self, completion: Completion, count: RequestCount, loaded: Loaded, client: str
    ) -> AsyncIterator[bytes]:
        status = 499
        try:
            async for event in completion.events():
                yield event
            status = 200
            self._remember(completion, loaded, client)
        finally:
            completion.cancel()
            count.drawn(completion)
            count.end(status)

    def _remember(self, completion: Completion, loaded: Loaded, client: str) -> None:
        if self._recorder.keeps(loaded.version.model):
            self._recorder.remember(
                Answered(
                    id=completion.id,
                    version=loaded.version,
                    client=client,
                    texts=completion.texts,
                    outputs=completion.outputs,
                ),
                loaded,
            )


async def take(desk: Desk, name: str) -> Loaded:
    """The version that answers; one that must be loaded first is not waited for in the loop.

    Raises:
        RefusalError: If there is none.
    """
    if ":" in name or "@" in name:
        return await asyncio.to_thread(desk.take, name)
    return desk.take(name)


def client_of(request: Request) -> str:
    """Who asks."""
    return str(request.scope.get("lmcore.client", ANYBODY))


def headers_of(loaded: Loaded) -> dict[str, str]:
    """What every answer says."""
    return {"X-Lmcore-Version": f"{loaded.version.model}:{loaded.version.number}"}


async def _gone(request: Request) -> None:
    """Returns when the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
