"""Whether the champion's tokenizer is kept, and why.

A tokenizer that is fitted anew on a little more text is another one, and with it every token of the
corpus.  Kept, only new text is cut, and what a model costs to make follows what is new.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import yaml
from pydantic import ValidationError

from flows.registry.models import Registry
from lmcore.config import RunConfig
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.tokenizer import load_tokenizer
from lmcore.data.tokens.tokenizer_fit import Fit, fit_of
from lmcore.errors import IntegrityError
from lmcore.model.pretrained import shelf
from lmcore.model.pretrained.base import Base
from lmcore.tasks.task import TASKS
from lmcore.training.start import KeptTokenizer, Start, objection_to_tokenizer
from lmcore.version_folder import VersionFolder

logger = logging.getLogger(__name__)
UNREADABLE = "this release cannot read how it was configured"


def with_kept_tokenizer(
    start: Start, config: RunConfig, documents: DocumentSet, registry: Registry
) -> Start:
    """The same start with the champion's tokenizer, where it may be kept and fits.

    Args:
        start: From random weights.
        config: The pipeline's configuration.
        documents: To train on.
        registry: Knows the champion.
    """
    allowed, number = config.keep_tokenizer, registry.aliases(config.name).get("champion")
    if allowed is None or number is None or not TASKS[config.task].is_language_model:
        return start
    try:
        folder = registry.open(registry.version(config.name, number))
        problem = _objection_to_tokenizer(config, documents, folder)
        if problem is None:
            known = {row["id"] for row in folder.documents() if row["split"] == "train"}
            if not _adopted(folder) and documents.count("train") == len(known):
                return start  # one that is fitted on the same text is the same, and is there
            fit = fit_of(load_tokenizer(folder.path / "tokenizer"), documents, known=known)
    except IntegrityError as error:
        problem = f"its files cannot be used ({error})"
    if problem is not None:
        logger.info(
            "tokenize: a new tokenizer, not that of champion version %d: %s", number, problem
        )
        return start
    found = _described(fit)
    if not fit.within(allowed):
        logger.info(
            "tokenize: a new tokenizer, as that of champion version %d has %s; keep_tokenizer"
            " allows %.0f%% fewer",
            number,
            found,
            100 * allowed,
        )
        return start
    kept = KeptTokenizer(
        version=number,
        reason=f"the tokenizer of champion version {number} is kept: {found},"
        f" and keep_tokenizer allows {allowed:.0%} fewer",
    )
    logger.info("tokenize: %s", kept.reason)
    return replace(start, tokenizer=folder.path / "tokenizer", kept=kept)


def _described(fit: Fit) -> str:
    if fit.new is None:
        return "next to no text is new to it"
    return (
        f"{fit.new:.2f} bytes a token on {fit.new_bytes:,} bytes of text that is new to it,"
        f" {fit.known:.2f} on text that it knows"
    )


def _adopted(folder: VersionFolder) -> bool:
    """Whether a version's tokenizer was fitted for an earlier one."""
    start = folder.lineage().get("start") or {}
    return start.get("origin") == "champion" or "tokenizer" in start


def _objection_to_tokenizer(
    config: RunConfig, documents: DocumentSet, folder: VersionFolder
) -> str | None:
    stored = stored_tokenizer(folder)
    if stored is None:
        return UNREADABLE
    return objection_to_tokenizer(
        tokenizer=(stored, config.tokenizer),
        learnt=folder.documents(),
        today=documents.iter_rows(),
        pretrained=begun_with(folder),
    )


def stored_tokenizer(folder: VersionFolder) -> TokenizerConfig | None:
    """How a version's tokenizer was configured; None where this release cannot read it."""
    try:
        stored = yaml.safe_load(folder.config)
        return TokenizerConfig.model_validate(stored.get("tokenizer") or {})
    except (AttributeError, ValueError, ValidationError, yaml.YAMLError):
        return None


def begun_with(folder: VersionFolder) -> Base | None:
    """The model that exists which a version began with; None: random weights."""
    reference = folder.base()
    return shelf.verified(shelf.find(reference.key)) if reference is not None else None
