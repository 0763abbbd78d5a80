"""Sources to documents: what files there are, and what is kept of them."""

from __future__ import annotations

import logging

from flows.home.environment import Home
from flows.steps.part_readers import chosen_readers
from flows.steps.progress import counting
from flows.steps.shared_sides import shared_sides
from flows.steps.source_fingerprint import fingerprint_once
from lmcore.config import RunConfig
from lmcore.content_store import ContentStore
from lmcore.counted import counted
from lmcore.data.copies.removal import Removals, read_removals
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.ingest import SourceFingerprint, ingest
from lmcore.data.ingest.split import LANGUAGE_MODEL, TASK, SplitLedger
from lmcore.tasks.task import task_named

logger = logging.getLogger(__name__)


def fingerprint(config: RunConfig) -> SourceFingerprint:
    """Hash the bytes of every source, so that an unchanged corpus is recognised."""
    found = fingerprint_once(config.sources)
    logger.info("sources: %s, %.1f MB", counted(found.files, "file"), found.bytes / 1e6)
    return found


def ingest_documents(
    config: RunConfig, found: SourceFingerprint, home: Home, removals: Removals | None = None
) -> DocumentSet:
    """Read, clean, mask, cluster and split the sources.

    Args:
        config: The pipeline's configuration.
        found: The sources' files.
        home: Where the result goes.
        removals: What must be kept out; None: what this home knows of.
    """
    if removals is None:
        removals = read_removals(home.removals).for_model(config.name)
    kind = LANGUAGE_MODEL if task_named(config.task).is_language_model else TASK
    # Whoever fetches documents must find their sides shared already.
    store = ContentStore(home.content, shared=home.shared, publishes=False)
    with shared_sides(home), chosen_readers():
        documents = ingest(
            store,
            sources=config.sources,
            data=config.data,
            policy=config.policy,
            ledger=SplitLedger(home.splits, kind=kind, model=config.name),
            removals=removals,
            fingerprint=found,
            progress=counting("documents"),
        )
    store.publish(documents)
    summary = documents.summary
    logger.info(
        "ingest: %s, %.1f MB; train %s, tune %s, validation %s; quarantined %s",
        counted(summary["documents"], "document"),
        summary["bytes"] / 1e6,
        f"{summary['train_documents']:,}",
        f"{summary['tune_documents']:,}",
        f"{summary['validation_documents']:,}",
        summary["quarantined"],
    )
    languages = sorted(summary["languages"].items(), key=lambda item: -item[1])
    total = sum(size for _, size in languages) or 1
    shares = [f"{code} {100 * size / total:.1f} %" for code, size in languages[:5]]
    logger.info("ingest: languages by bytes: %s", ", ".join(shares))
    for remark in summary["language_remarks"]:
        logger.warning("ingest: %s", remark)
    reasons = documents.account()["quarantined"]["reasons"]
    if reasons:
        most = sorted(reasons, key=lambda reason: -reasons[reason])[:3]
        told = "; ".join(f"{reason} ({reasons[reason]:,})" for reason in most)
        logger.warning(
            "ingest: set aside: %s; each is named in %s", told, documents.path / "quarantine.jsonl"
        )
    if removals:
        logger.info(
            "ingest: %s kept out because of %s",
            counted(summary["removed_documents"], "text"),
            counted(len(removals), "removal"),
        )
    return documents
