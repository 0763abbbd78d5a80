"""Whom a candidate is judged beside, and what it was made from: all that an evaluation is told."""

from __future__ import annotations

import logging
from dataclasses import replace

from flows.home.folders import Home
from flows.registry.document_matches import removed_documents
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.config import RunConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.errors import IntegrityError
from lmcore.evaluation.inputs import Challenge, ChampionInput
from lmcore.evaluation.ownership import examine_base
from lmcore.model.pretrained.base import Base, reference_of
from lmcore.model.pretrained.shelf import verified

logger = logging.getLogger(__name__)


def ownership_of_base(config: RunConfig, home: Home, challenge: Challenge) -> Challenge:
    """The same challenge, with whether what its candidate was made from may be used.

    Args:
        config: Its policy says what may be.
        home: Of the registry, and of the models that candidates are made from.
        challenge: A candidate.

    Raises:
        IntegrityError: If what it was made from is missing or damaged.
    """
    wanted = reference_of(challenge.best)
    if wanted is None:
        return replace(challenge, made_from=None)
    base = verified(home.store.path(Base.kind, wanted.key))
    registered = Registry(home).bases.find(base.key)
    ownership = examine_base(
        base,
        policy=config.policy,
        registered_weights=registered.weights_sha256 if registered else None,
    )
    return replace(challenge, made_from=ownership)


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
    known_ids, train_ids = set(), set()
    for row in folder.documents():
        known_ids.add(row["id"])
        if row["split"] in ("train", "tune"):
            train_ids.add(row["id"])
    return ChampionInput(
        version=version.number,
        weights=folder.path / "model",
        tokenizer=folder.path / "tokenizer",
        key=version.manifest_sha256,
        train_ids=train_ids,
        known_ids=known_ids,
        removed=len(train_ids & removed_documents(folder, removals)),
    )
