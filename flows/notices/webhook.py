"""Tell people what happened to a model: always in the log, and at the address LMCORE_WEBHOOK.

In: an outcome.  Out: one JSON object by POST:

    {"event": "promoted" | "rejected" | "failed" | "drifted", "model": str, "version": int | null,
     "champion": int | null, "reason": str, "at": iso8601, "flow_run_id": str | null, "text": str}

`text` is the sentence that chat services show.  The address is often a secret, so it comes from the
environment, never from a configuration (those are stored with every version), and only its host is
ever logged.  A notification that cannot be delivered is logged and changes nothing.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

logger = logging.getLogger(__name__)

Event = Literal["promoted", "rejected", "failed", "drifted"]
VARIABLE = "LMCORE_WEBHOOK"
_PAUSES_SECONDS = (1.0, 4.0, 15.0)
_TIMEOUT_SECONDS = 10.0
_REASON_CHARACTERS = 2000


def notify(
    event: Event,
    *,
    model: str,
    reason: str,
    version: int | None = None,
    champion: int | None = None,
    flow_run_id: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Log what happened, and send it where LMCORE_WEBHOOK is set.

    Args:
        event: What happened.
        model: Registered model.
        reason: One sentence.
        version: Version that it happened to.
        champion: Champion after it.
        flow_run_id: Prefect flow run.
        sleep: Waits between attempts.

    Returns:
        Whether it was delivered; False where no address is set.
    """
    which = f"{model} version {version}" if version is not None else model
    text = f"{which}: {event}. {reason[:_REASON_CHARACTERS]}"
    level = logging.WARNING if event in ("failed", "drifted") else logging.INFO
    # The command line tells it by its answer, or by its error.
    logger.log(level, "%s", text, extra={"shown": False})
    address = os.environ.get(VARIABLE, "").strip()
    if not address:
        return False
    payload = {
        "event": event,
        "model": model,
        "version": version,
        "champion": champion,
        "reason": reason[:_REASON_CHARACTERS],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "flow_run_id": flow_run_id,
        "text": text,
    }
    try:
        return _deliver(address, payload, sleep)
    except Exception as error:  # a notification never fails what it speaks of
        logger.warning("the webhook was not called: %s", type(error).__name__)
        return False


def _deliver(address: str, payload: dict[str, Any], sleep: Callable[[float], None]) -> bool:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        logger.warning("%s is not an http or https address; nothing was sent", VARIABLE)
        return False
    request = urllib.request.Request(  # noqa: S310 (checked above)
        address,
        data=json.dumps(payload, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "lmcore"},
        method="POST",
    )
    opener = urllib.request.build_opener(_NoRedirect)
    problem = ""
    for pause in (*_PAUSES_SECONDS, None):
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS):
                return True
        except urllib.error.HTTPError as error:
            with error:
                problem = f"it answered {error.code}"
            # Another attempt mends an overloaded receiver, not a refused message.
            if error.code < 500 and error.code not in (408, 429):
                break
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            problem = str(getattr(reason, "strerror", None) or type(reason).__name__)
        if pause is not None:
            sleep(pause)
    logger.warning("the webhook at %s was not reached: %s", parts.hostname, problem)
    return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the message as an empty GET, and to an address nobody chose."""

    def redirect_request(self, *arguments: Any, **changes: Any) -> None:
        """Follow none; the answer counts as a refusal."""
