"""An evaluation whose questions are shared out among workers.

In: `LMCORE_EVALUATION_SHARDS`, a Prefect server with a work pool, and homes that share content.
Out: the answers of models, in the store of the home that evaluates, asked by whoever was free.

The worker that evaluates is the first: it publishes the plan, asks Prefect for a run of
`evaluate-shard/lmcore` a share, and asks its own.  Then it takes back what nobody has begun, and
waits for what somebody is at.  What is lost with a worker, or was never published, is asked where
the report is put together; so shards change how long it takes, and no bit of it.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from filelock import FileLock

from flows.home.folders import Home
from flows.progress.artifact import flow_run_id
from flows.progress.job import current as current_job
from flows.registry.models import Registry
from flows.registry.removals import current_removals
from flows.steps.evaluation_inputs import current_champion, ownership_of_base
from flows.steps.progress import counting
from flows.steps.shard import SHARDS, Shard, wanted_shards
from lmcore.config import RunConfig
from lmcore.content_store import Handle
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.shards import ShardSet
from lmcore.data.tokens.tokenizer import TokenizerHandle
from lmcore.errors import IntegrityError
from lmcore.evaluation.evaluate import ask_shard
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.questions import Question
from lmcore.model.pretrained.base import Base, reference_of
from lmcore.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import State

logger = logging.getLogger(__name__)

DEPLOYMENT = "evaluate-shard/lmcore"
_POLL_SECONDS = 1.0
_BEGIN_SECONDS = 60.0
_H = TypeVar("_H", bound=Handle)


def share_out(
    config: RunConfig,
    home: Home,
    corpus: Corpus,
    challenge: Challenge,
    questions: Sequence[Question],
) -> bool:
    """Have the questions of an evaluation asked by several workers.

    Args:
        config: Of the run.
        home: Of this worker.
        corpus: The data of the run.
        challenge: The candidate, and what it is scored beside.
        questions: Of the evaluation, whose plan is where homes share content.

    Returns:
        Whether others were asked, so that answers are to be looked for in the shared store.
    """
    of = wanted_shards()
    # Models of parts of the text, for the advice on more data, are in no other home.
    if of == 1 or challenge.parts:
        return False
    if home.shared is None or flow_run_id() is None:
        logger.warning(
            "evaluate: %s=%d needs homes that share content (LMCORE_CONTENT) and a run of a work"
            " pool; this worker asks everything",
            SHARDS,
            of,
        )
        return False
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    def ask(number: int) -> None:
        for question in questions[number::of]:
            question()

    with get_client(sync_client=True) as client:
        try:
            client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            logger.warning(
                "evaluate: there is no deployment %s, so this worker asks everything; `lmcore"
                " deploy --pool NAME` makes it",
                DEPLOYMENT,
            )
            return False
        others = {
            number: _requested(config, corpus, challenge, number=number, of=of)
            for number in range(1, of)
        }
        ask(0)
        _finish(client, others, ask)
    return True


def _requested(
    config: RunConfig, corpus: Corpus, challenge: Challenge, *, number: int, of: int
) -> UUID:
    """The flow run that was asked for, for one share."""
    from prefect.deployments import run_deployment

    shard = Shard(
        documents=corpus.documents.key,
        tokenizer=corpus.tokenizer.key,
        shards=corpus.shards.key,
        checkpoint=challenge.checkpoint.key,
        champion=challenge.champion.version if challenge.champion else None,
        number=number,
        of=of,
    )
    parameters = {"config": config.model_dump(mode="json"), "shard": shard.model_dump(mode="json")}
    run: Any = run_deployment(
        DEPLOYMENT,
        parameters=parameters,
        timeout=0,
        as_subflow=False,
        flow_run_name=f"{config.name} {number + 1} of {of}",
    )
    identity: UUID = run.id
    return identity


def _finish(client: SyncPrefectClient, others: dict[int, UUID], ask: Callable[[int], None]) -> None:
    """Ask what nobody has begun or has failed at; wait for what somebody is at."""
    from prefect.states import Cancelled

    from flows.notices.signs_of_life import is_silent

    left = dict(others)
    while left:
        runs = {number: client.read_flow_run(run) for number, run in left.items()}
        current_job().count("waiting for other workers", len(others) - len(left), len(others))
        for number, run in runs.items():
            if run.state is not None and run.state.is_completed():
                del left[number]
        # The last first: workers take them from the front.
        for number in sorted(left, reverse=True):
            run = runs[number]
            if run.state is not None and _at_it(run.state) and not is_silent(client, run):
                continue
            if run.state is not None and not run.state.is_final():
                state: State[None] = Cancelled(message="asked by the worker that evaluates")
                client.set_flow_run_state(run.id, state, force=True)
            logger.info("evaluate: share %d of %d is asked here", number + 1, len(others) + 1)
            ask(number)
            del left[number]
            break
        else:
            if left:
                time.sleep(_POLL_SECONDS)


def _at_it(state: State[Any]) -> bool:
    """Whether a worker asks a share, or is about to: its process takes a while to begin."""
    age = (datetime.now(UTC) - state.timestamp).total_seconds()
    return state.is_running() or (state.is_pending() and age < _BEGIN_SECONDS)


def answer(config: RunConfig, home: Home, shard: Shard) -> bool:
    """Ask one share for an evaluation of another worker.

    Args:
        config: Of the run that evaluates.
        home: Of this worker.
        shard: What to ask.

    Returns:
        Whether anything was asked: what would be of no use is not.

    Raises:
        IntegrityError: If what it needs is not in the shared store.
    """
    registry = Registry(home)
    removals = current_removals(registry).for_model(config.name)
    champion = current_champion(registry, config.name, removals)
    if (champion.version if champion else None) != shard.champion:
        logger.info("the champion is another one by now; nothing is asked")
        return False
    corpus = Corpus(
        documents=_fetched(home, DocumentSet, shard.documents),
        tokenizer=_fetched(home, TokenizerHandle, shard.tokenizer),
        shards=_fetched(home, ShardSet, shard.shards),
    )
    checkpoint = _fetched(home, Checkpoint, shard.checkpoint)
    if (base := reference_of(checkpoint.path / "best")) is not None:
        _fetched(home, Base, base.key)
    challenge = Challenge(checkpoint=checkpoint, champion=champion)
    parts = ask_shard(
        home.store,
        corpus,
        challenge=ownership_of_base(config, home, challenge),
        gates=config.gates,
        seed=config.training.seed,
        number=shard.number,
        of=shard.of,
        on_progress=counting("documents"),
    )
    parts.clear()  # it is published, and of no more use here
    return True


def _fetched(home: Home, handle: type[_H], key: str) -> _H:
    """A finished folder by its key, from the shared store where it is not here."""
    final = home.store.path(handle.kind, key)
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.parent / f".{final.name}.lock"):
        if not final.exists():
            partial = final.with_name(f".{final.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            place = f"content/{handle.kind}/{final.name}"
            if home.shared is None or not home.shared.fetch(place, partial):
                shutil.rmtree(partial, ignore_errors=True)
                raise IntegrityError(
                    f"{place} is not where homes share content; see that LMCORE_CONTENT names the"
                    " same place on all workers"
                )
            partial.replace(final)
        return handle.open(final)
