"""The HTTP interface: routes by their address, and how refusals look.

In: a desk of versions.  Out: an ASGI application.  What a route does stands in the modules beside
it; here it is only named and described.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from flows.serving.access import App, Gate, Keys
from flows.serving.desk import Desk
from flows.serving.limits import Limits
from flows.serving.measures import Measures
from flows.serving.protocol import (
    ChatRequest,
    CompletionRequest,
    FeedbackRequest,
    PredictRequest,
)
from flows.serving.recorder import Recorder
from flows.serving.refusal import RefusalError
from flows.serving.request_count import UNKNOWN
from flows.serving.routes import Routes
from flows.serving.schema import described
from lmcore import __version__
from lmcore.reporting.interface import CONTENT_SECURITY_POLICY, interface_page

logger = logging.getLogger(__name__)


def create_app(
    desk: Desk,
    measures: Measures,
    recorder: Recorder,
    *,
    keys: Keys | None,
    hosts: Sequence[str] = (),
    limits: Limits | None = None,
) -> App:
    """The application.

    Args:
        desk: An open one.
        measures: To be counted in.
        recorder: An open one.
        keys: None: everybody may ask.
        hosts: Names beside the loopback ones that it may be asked under.
        limits: Of what is asked.
    """
    limits = limits or Limits()
    routes = Routes(desk, measures, recorder, limits)
    app = FastAPI(
        title="lmcore",
        version=__version__,
        description="A team's own language models, as they are in use.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(RefusalError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _broken)
    get, post = app.get, app.post
    get("/health", tags=["state"], summary="Whether the process lives.")(routes.health)
    get("/ready", tags=["state"], summary="Whether a version answers.", **described(503))(
        routes.ready
    )
    get("/metrics", tags=["state"], summary="Measures, as Prometheus reads them.")(routes.metrics)
    get("/v1/models", tags=["models"], summary="What is served.")(routes.models)
    get("/v1/models/{name}", tags=["models"], summary="One of them.", **described(404))(
        routes.model
    )
    post(
        "/v1/completions",
        tags=["answers"],
        summary="Continue a text.",
        **described(400, 404, 413, 429, request=CompletionRequest),
    )(routes.completions)
    post(
        "/v1/chat/completions",
        tags=["answers"],
        summary="Answer a conversation, where the version came with a chat template.",
        **described(400, 404, 413, 429, request=ChatRequest),
    )(routes.chat)
    post(
        "/v1/predict",
        tags=["answers"],
        summary="Label, translate or summarize texts.",
        **described(400, 404, 413, 429, request=PredictRequest),
    )(routes.predict)
    post(
        "/v1/feedback",
        tags=["answers"],
        summary="Say whether an answer was right, or which one is.",
        **described(400, 404, 409, 429, request=FeedbackRequest),
    )(routes.feedback)
    get("/docs", include_in_schema=False)(lambda: _page(app))
    return Gate(
        app,
        keys=keys,
        hosts=hosts,
        limits=limits,
        refused=lambda status: measures.requests.labels(UNKNOWN, "refused", status).inc(),
    )


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException):
        error = RefusalError(error.status_code, str(error.detail))
    assert isinstance(error, RefusalError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers())


async def _broken(request: Request, error: Exception) -> JSONResponse:
    logger.error("a request to %s broke", request.url.path, exc_info=error)
    return await _refused(request, RefusalError(500, "the server failed; its log says why"))


def _page(app: FastAPI) -> HTMLResponse:
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(interface_page(app.openapi()), headers=headers)
