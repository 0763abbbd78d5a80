"""What each route does: ask the version that is in use, and measure it.

In: HTTP requests that were let through.  Out: answers, or refusals.  Nothing of a prompt is logged.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from flows.serving.access import ANYBODY
from flows.serving.completions import Completion
from flows.serving.desk import Desk
from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.measures import Measures
from flows.serving.prompts import read_prompts
from flows.serving.protocol import (
    ChatRequest,
    CompletionRequest,
    FeedbackRequest,
    PredictRequest,
    read,
)
from flows.serving.recorder import Recorder
from flows.serving.refusal import RefusalError, parse
from flows.serving.remembered import Answered
from flows.serving.request_count import RequestCount
from lmcore.engine.ask import ClosedError

if TYPE_CHECKING:
    from lmcore.tasks.prediction import Prediction

_TRIES = 5
_PREDICTIONS = 4
#: Characters or tokens of prompts that are read in the event loop.
_READ_AT_ONCE = 4096


class Routes:
    """What each route does.

    Args:
        desk: Versions that answer.
        measures: To be counted in.
        recorder: Keeps what is asked, where that is wanted.
        limits: Of what is asked.
    """

    def __init__(self, desk: Desk, measures: Measures, recorder: Recorder, limits: Limits) -> None:
        self._desk, self._measures, self._limits = desk, measures, limits
        self._recorder = recorder
        # Tasks wait for each other here, and not in the threads that others need.
        self._predicting = ThreadPoolExecutor(_PREDICTIONS, thread_name_prefix="lmcore-predict")
        self._predictions = 0

    # -- state -----------------------------------------------------------------------------------

    async def health(self) -> PlainTextResponse:
        """It lives."""
        return PlainTextResponse("ok")

    async def ready(self) -> JSONResponse:
        """Whether a version answers, and what is not as it should be."""
        ready = self._desk.ready
        problems = [*self._desk.problems(), *self._recorder.problems()]
        values = {"ready": ready, "problems": problems}
        return JSONResponse(values, status_code=200 if ready else 503)

    async def metrics(self) -> PlainTextResponse:
        """Measures."""
        return PlainTextResponse(
            self._measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    async def models(self) -> dict[str, Any]:
        """What is served."""
        found = self._desk.in_use().items()
        return {"object": "list", "data": [_described(name, loaded) for name, loaded in found]}

    async def model(self, name: str) -> dict[str, Any]:
        """One model."""
        loaded = await self._take(name)
        return _described(name, loaded)

    # -- answers ---------------------------------------------------------------------------------

    async def completions(self, request: Request) -> JSONResponse | StreamingResponse:
        """Continue a text."""
        count = RequestCount(self._measures, "completions", request)
        try:
            asked = read(CompletionRequest, parse(await request.body()))
            loaded, completion = await self._begin(asked, count)
        except RefusalError as refusal:
            count.end(refusal.status)
            raise
        headers = _headers(loaded)
        if asked.stream:
            return StreamingResponse(
                self._streamed(completion, count, loaded, _client(request)),
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
                self._remember(completion, loaded, _client(request))
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
        self, asked: CompletionRequest, count: RequestCount
    ) -> tuple[Loaded, Completion]:
        """Hand a request to the version that is in use now."""
        for _ in range(_TRIES):
            loaded = await self._take(asked.model)
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
            completion = Completion(asked, loaded, prompts, self._limits)
            try:
                completion.begin()
            except ClosedError:  # it was replaced in between
                continue
            count.begun(loaded)
            return loaded, completion
        raise RefusalError(503, "versions change faster than a request begins", retry_after=1)

    async def _take(self, name: str) -> Loaded:
        """The version that answers; one that must be loaded first is not waited for here."""
        if ":" in name or "@" in name:
            return await asyncio.to_thread(self._desk.take, name)
        return self._desk.take(name)

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

    async def chat(self, request: Request) -> JSONResponse:
        """No version has a chat template."""
        asked = read(ChatRequest, parse(await request.body()))
        loaded = await self._take(asked.model)
        raise RefusalError(
            400,
            f"{loaded.version.model} has no chat template, so it knows no roles; send the text that"
            " it is to continue to /v1/completions",
            param="model",
        )

    async def _predict(self, loaded: Loaded, texts: Sequence[str]) -> Sequence[Prediction]:
        if self._predictions >= self._limits.waiting:
            raise RefusalError(
                429,
                f"{self._predictions} requests wait already; try again in a second",
                code="rate_limit_exceeded",
                retry_after=1,
            )
        self._predictions += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._predicting, loaded.predict, texts)
        finally:
            self._predictions -= 1

    async def predict(self, request: Request) -> JSONResponse:
        """Label, translate or summarize texts."""
        count = RequestCount(self._measures, "predict", request)
        status = 500
        try:
            asked = read(PredictRequest, parse(await request.body()))
            texts = asked.texts
            if not 0 < len(texts) <= self._limits.texts:
                raise RefusalError(
                    413 if texts else 400,
                    f"{len(texts)} texts; expected 1 to {self._limits.texts} in a request",
                    param="input",
                )
            loaded = await self._take(asked.model)
            count.model = loaded.version.model
            if not loaded.is_task:
                raise RefusalError(
                    400,
                    f"{loaded.version.model} is a language model; ask it at /v1/completions",
                    param="model",
                )
            count.begun(loaded)
            answers = await self._predict(loaded, texts)
            status = 200
        except RefusalError as refusal:
            status = refusal.status
            raise
        finally:
            count.end(status)
        count.tokens("prompt", sum(answer.tokens for answer in answers))
        answered = Answered(
            id=f"pred-{secrets.token_hex(12)}",
            version=loaded.version,
            client=_client(request),
            texts=texts,
            outputs=[answer.output for answer in answers],
        )
        self._recorder.remember(answered, loaded)
        values = {
            "id": answered.id,
            "model": loaded.version.model,
            "version": loaded.version.number,
            "predictions": [answer.to_json() for answer in answers],
        }
        return JSONResponse(values, headers=_headers(loaded))

    async def feedback(self, request: Request) -> JSONResponse:
        """Somebody says whether an answer was right, or which one is."""
        count = RequestCount(self._measures, "feedback", request)
        status = 500
        try:
            asked = read(FeedbackRequest, parse(await request.body()))
            loaded = await self._take(asked.model)
            count.model = loaded.version.model
            kept = self._recorder.feedback(asked, loaded, _client(request))
            await asyncio.wrap_future(kept)
            status = 200
        except RefusalError as refusal:
            status = refusal.status
            raise
        finally:
            count.end(status)
        return JSONResponse({"object": "feedback", "id": asked.id, "index": asked.index})


async def _gone(request: Request) -> None:
    """Returns when the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _client(request: Request) -> str:
    return str(request.scope.get("lmcore.client", ANYBODY))


def _headers(loaded: Loaded) -> dict[str, str]:
    return {"X-Lmcore-Version": f"{loaded.version.model}:{loaded.version.number}"}


def _described(name: str, loaded: Loaded) -> dict[str, Any]:
    version = loaded.version
    return {
        "id": name,
        "object": "model",
        "created": int(version.created.timestamp()),
        "owned_by": "lmcore",
        "task": version.task,
        "version": version.number,
        "system_fingerprint": loaded.fingerprint,
    }
