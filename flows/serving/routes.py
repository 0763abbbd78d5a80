"""What each route does: ask the version that is in use, and measure it.

In: HTTP requests that were let through.  Out: answers, or refusals.  Nothing of a prompt is logged.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from flows.serving.desk import Desk
from flows.serving.forms import ChatForm, TextForm
from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.measures import Measures
from flows.serving.protocol import (
    ChatRequest,
    CompletionRequest,
    FeedbackRequest,
    PredictRequest,
)
from flows.serving.recorder import Recorder
from flows.serving.refusal import RefusalError, parse, read
from flows.serving.remembered import Answered
from flows.serving.request_count import RequestCount
from flows.serving.texts import Texts, client_of, headers_of, take

if TYPE_CHECKING:
    from lmcore.tasks.prediction import Prediction

_PREDICTIONS = 4


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
        self._texts = Texts(desk, measures, recorder, limits)
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
        loaded = await take(self._desk, name)
        return _described(name, loaded)

    # -- answers ---------------------------------------------------------------------------------

    async def completions(self, request: Request) -> JSONResponse | StreamingResponse:
        """Continue a text."""
        return await self._texts.answer(request, CompletionRequest, TextForm, route="completions")

    async def chat(self, request: Request) -> JSONResponse | StreamingResponse:
        """Answer a conversation."""
        return await self._texts.answer(request, ChatRequest, ChatForm, route="chat")

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
            loaded = await take(self._desk, asked.model)
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
            client=client_of(request),
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
        return JSONResponse(values, headers=headers_of(loaded))

    async def feedback(self, request: Request) -> JSONResponse:
        """Somebody says whether an answer was right, or which one is."""
        count = RequestCount(self._measures, "feedback", request)
        status = 500
        try:
            asked = read(FeedbackRequest, parse(await request.body()))
            loaded = await take(self._desk, asked.model)
            count.model = loaded.version.model
            kept = self._recorder.feedback(asked, loaded, client_of(request))
            await asyncio.wrap_future(kept)
            status = 200
        except RefusalError as refusal:
            status = refusal.status
            raise
        finally:
            count.end(status)
        return JSONResponse({"object": "feedback", "id": asked.id, "index": asked.index})


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
