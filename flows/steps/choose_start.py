"""Whether a training goes on from the champion, or keeps its tokenizer, and from which files."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from flows.registry.models import Registry
from flows.steps.kept_tokenizer import UNREADABLE, begun_with, stored_tokenizer, with_kept_tokenizer
from lmcore.config import RunConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.canaries import CanarySet
from lmcore.errors import IntegrityError
from lmcore.model.config import AnyModelConfig
from lmcore.model.pretrained.base import Base
from lmcore.training.start import Start, from_scratch, objection
from lmcore.version_folder import CANARIES, VersionFolder

logger = logging.getLogger(__name__)
_MODEL: TypeAdapter[AnyModelConfig] = TypeAdapter(AnyModelConfig)


def champion_weights(config: RunConfig, registry: Registry) -> str | None:
    """What a run that asks to go on from the champion depends on: the hash of its weights."""
    if config.training.start != "champion":
        return None
    number = registry.aliases(config.name).get("champion")
    return registry.version(config.name, number).weights_sha256 if number is not None else None


def choose_start(
    config: RunConfig,
    documents: DocumentSet,
    registry: Registry,
    pretrained: Base | None = None,
) -> Start:
    """Go on from the champion where that is asked for and sound; else say why not.

    A training from random weights keeps the champion's tokenizer where that is sound and it fits.

    Args:
        config: The pipeline's configuration.
        documents: To train on.
        registry: Knows the champion.
        pretrained: The imported model that everything begins with.
    """
    chosen = _chosen(config, documents, registry, pretrained)
    if chosen.origin == "scratch" and pretrained is None:
        chosen = with_kept_tokenizer(chosen, config, documents, registry)
    return replace(chosen, pretrained=pretrained)


def _chosen(
    config: RunConfig, documents: DocumentSet, registry: Registry, pretrained: Base | None
) -> Start:
    if config.training.start != "champion":
        return from_scratch("training.start is scratch")
    number = registry.aliases(config.name).get("champion")
    if number is None:
        return _said(from_scratch("there is no champion to go on from yet"))
    try:
        folder = registry.open(registry.version(config.name, number))
        problem = _objection(config, documents, folder, pretrained)
    except IntegrityError as error:
        problem = f"its files cannot be used ({error})"
    if problem is not None:
        return _said(from_scratch(f"not from champion version {number}: {problem}"))
    reason = (
        f"goes on from champion version {number}: same tokenizer and shape, and all that it learnt"
        " from is in the training text"
    )
    return _said(start_from(folder, version=number, reason=reason))


def start_from(folder: VersionFolder, *, version: int, reason: str) -> Start:
    """Go on from a verified version."""
    canaries = CanarySet.read(folder.path / CANARIES)
    return Start(
        origin="champion",
        reason=reason,
        version=version,
        weights_sha256=folder.weights_sha256,
        model=folder.path / "model",
        tokenizer=folder.path / "tokenizer",
        canaries=canaries.forbidden if canaries else (),
    )


def _objection(
    config: RunConfig, documents: DocumentSet, folder: VersionFolder, pretrained: Base | None
) -> str | None:
    tokenizer = stored_tokenizer(folder)
    try:
        record = json.loads((folder.path / "model" / "model.json").read_text(encoding="utf-8"))
        model: AnyModelConfig = _MODEL.validate_python(record["config"])
    except (AttributeError, KeyError, ValueError, ValidationError):
        return UNREADABLE
    if tokenizer is None:
        return UNREADABLE
    return objection(
        tokenizer=(tokenizer, config.tokenizer),
        model=(model, config.model),
        learnt=folder.documents(),
        today=documents.iter_rows(),
        pretrained=(begun_with(folder), pretrained),
    )


def _said(start: Start) -> Start:
    logger.info("start: %s", start.reason)
    return start
