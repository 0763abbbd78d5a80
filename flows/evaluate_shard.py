"""One share of an evaluation, as a flow that a work pool places on whichever worker is free.

`flows/steps/shards.py` asks for it where `LMCORE_EVALUATION_SHARDS` is set.
"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.home.environment import current
from flows.home.locks import using_content
from flows.home.outage import await_prefect, heard_by_prefect
from flows.home.signals import still_polite
from flows.progress.job import current as current_job
from flows.steps.progress import job_shown
from flows.steps.shard import Shard
from flows.steps.shards import answer
from lmcore.config import RunConfig


@flow(name="evaluate-shard", persist_result=False)
def evaluate_shard(config: RunConfig, shard: Shard) -> bool:
    """Ask the models of an evaluation one share of what it asks them.

    Args:
        config: The configuration of the run that evaluates.
        shard: What to ask, and where it lies.
    """
    home = current()
    with (
        heard_by_prefect(home),
        still_polite(),
        using_content(home.locks),
        job_shown("evaluate-shard", home, config.name),
        current_job().step("evaluate"),
    ):
        await_prefect(home)
        asked = answer(config, home, shard)
    message = "asked" if asked else "not needed any more"
    state: State[bool] = Completed(message=message, data=asked)
    return state  # type: ignore[return-value]
