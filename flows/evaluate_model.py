"""A checkpoint to scores, gates and a verdict, as a Prefect task."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.environment import Home
from flows.registry import Registry
from flows.sketched import removed_documents
from flows.tokenize_documents import Tokenized
from lmcore.artifacts import ContentStore
from lmcore.config import RunConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.removal import NOTHING_REMOVED, Removals
from lmcore.errors import IntegrityError
from lmcore.evaluation.evaluate import ChampionInput, evaluate_model
from lmcore.evaluation.report import EvalReport
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.parts import PartModel

logger = logging.getLogger(__name__)


@task(
    name="evaluate",
    task_run_name="evaluate {config.name}",
    cache_policy=NO_CACHE,
    timeout_seconds=12 * 3600,
)
def evaluate(
    config: RunConfig,
    documents: DocumentSet,
    tokenized: Tokenized,
    checkpoint: Checkpoint,
    champion: ChampionInput | None,
    home: Home,
    parts: Sequence[PartModel] = (),
    removals: Removals = NOTHING_REMOVED,
) -> EvalReport:
    """Score the candidate and the champion on the same documents and ask every gate."""
    return evaluate_model(
        ContentStore(home.content),
        documents=documents,
        tokenizer=tokenized.tokenizer,
        shards=tokenized.shards,
        checkpoint=checkpoint,
        champion=champion,
        gates=config.gates,
        seed=config.training.seed,
        parts=parts,
        removals=removals,
    )


def current_champion(
    registry: Registry, model: str, removals: Removals = NOTHING_REMOVED
) -> ChampionInput | None:
    """The champion to be beaten, with all that is needed to score it again.

    One whose files are damaged is passed on as such: the champion gate then says
    INCOMPARABLE instead of promoting against nobody.

    Args:
        registry: Where the model is registered.
        model: Its name.
        removals: What must be forgotten by now.
    """
    number = registry.aliases(model).get("champion")
    if number is None:
        return None
    version = registry.version(model, number)
    try:
        folder = registry.open(version)
    except IntegrityError as error:
        logger.warning("champion: %s", error)
        nowhere = registry.home.empty / "damaged"
        return ChampionInput(
            version=number,
            weights=nowhere,
            tokenizer=nowhere,
            key=version.manifest_sha256,
            problem=str(error),
        )
    rows = list(folder.documents())
    train_ids = {row["id"] for row in rows if row["split"] in ("train", "tune")}
    return ChampionInput(
        version=number,
        weights=folder.path / "model",
        tokenizer=folder.path / "tokenizer",
        key=version.manifest_sha256,
        train_ids=train_ids,
        known_ids={row["id"] for row in rows},
        removed=len(train_ids & removed_documents(folder, removals)),
    )
