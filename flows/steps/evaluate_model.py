"""A checkpoint to scores, gates and a verdict, beside the models it is compared with."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace

from flows.registry.document_matches import removed_documents
from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.progress import counting
from flows.steps.run import Run
from lmcore.config import RunConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.data.tokens.corpus import Corpus
from lmcore.errors import IntegrityError
from lmcore.evaluation.evaluate import evaluate_model
from lmcore.evaluation.inputs import BaseOwnership, Challenge, ChampionInput
from lmcore.evaluation.ownership import examine_base
from lmcore.evaluation.report import EvalReport
from lmcore.tasks.judging.evaluate import evaluate_task

logger = logging.getLogger(__name__)


def evaluate(
    run: Run,
    corpus: Corpus,
    challenge: Challenge,
) -> EvalReport:
    """Score the candidate and the champion on the same documents and ask every gate.

    Args:
        run: Limits, and what must be forgotten.
        corpus: The data of the run.
        challenge: The candidate, and what it is scored beside.
    """
    report = _evaluated(run, corpus, challenge)
    verdict = report.verdict()
    counts = Counter(result.outcome for result in verdict.results)
    logger.info(
        "evaluate: gates %s", ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
    )
    return report


def _evaluated(run: Run, corpus: Corpus, challenge: Challenge) -> EvalReport:
    config = run.config
    challenge = replace(challenge, made_from=_ownership_of_base(run, challenge))
    if not run.task.is_language_model:
        return evaluate_task(
            run.store,
            corpus,
            challenge=challenge,
            base=run.base,
            gates=config.gates,
            seed=config.training.seed,
            removals=run.removals,
            on_progress=counting("documents"),
        )
    return evaluate_model(
        run.store,
        corpus,
        challenge=challenge,
        gates=config.gates,
        seed=config.training.seed,
        removals=run.removals,
        on_progress=counting("documents"),
    )


def _ownership_of_base(run: Run, challenge: Challenge) -> BaseOwnership | None:
    base = run.made_from(challenge.best)
    if base is None:
        return None
    registered = Registry(run.home).bases.find(base.key)
    return examine_base(
        base,
        policy=run.config.policy,
        registered_weights=registered.weights_sha256 if registered else None,
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
    return _to_judge(registry, registry.version(model, number), removals)


def newest_unaided(
    registry: Registry,
    config: RunConfig,
    champion: ChampionInput | None,
    removals: Removals = NOTHING_REMOVED,
) -> ChampionInput | None:
    """The newest version of a task that began from random weights, beside one with a base model.

    Args:
        registry: Where the model is registered.
        config: Of the run; None is the answer where it names no base model.
        champion: Of the model, in case it is this version: its files were verified already.
        removals: What must be forgotten by now.
    """
    if config.base is None:
        return None
    for version in reversed(registry.versions(config.name)):
        # Language models have no such tag either: the name may have been one's.
        if version.task == config.task and "base" not in version.tags and not version.quarantined:
            if champion is not None and champion.version == version.number:
                return champion
            return _to_judge(registry, version, removals)
    return None


def _to_judge(registry: Registry, version: Version, removals: Removals) -> ChampionInput:
    try:
        folder = registry.open(version)
    except IntegrityError as error:
        logger.warning("version %d: %s", version.number, error)
        nowhere = registry.home.empty / "damaged"
        return ChampionInput(
            version=version.number,
            weights=nowhere,
            tokenizer=nowhere,
            key=version.manifest_sha256,
            problem=str(error),
        )
    rows = list(folder.documents())
    train_ids = {row["id"] for row in rows if row["split"] in ("train", "tune")}
    return ChampionInput(
        version=version.number,
        weights=folder.path / "model",
        tokenizer=folder.path / "tokenizer",
        key=version.manifest_sha256,
        train_ids=train_ids,
        known_ids={row["id"] for row in rows},
        removed=len(train_ids & removed_documents(folder, removals)),
    )
