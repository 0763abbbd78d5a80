"""Everything that a version consists of, put together and registered."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from typing import Any

from flows.home.signals import to_the_end
from flows.registry.models import Registry
from flows.registry.registered_base import version_tags
from flows.registry.registration import Registration
from flows.registry.tracking import TrackedRun
from flows.registry.versions import DESCRIPTION_CHARACTERS, Version, fact_tags
from flows.steps.candidate import Candidate
from flows.steps.since_last import next_number
from flows.steps.sketches import sketching
from lmcore.data.tokens.corpus import Corpus
from lmcore.reporting.version.card import render_card
from lmcore.reporting.version.report import render_report
from lmcore.reporting.version.summary import description_markdown
from lmcore.version_assembly import VersionParts, assemble_version
from lmcore.version_folder import VersionFolder
from lmcore.version_sketches import SKETCHED_BY, SketchSet, sketching_code

logger = logging.getLogger(__name__)


def _canaries(corpus: Corpus) -> dict[str, Any] | None:
    """What the model was trained with and must never emit."""
    found = corpus.shards.canaries()
    return found.to_json() if found and found.forbidden else None


def register_version(
    candidate: Candidate, *, tracked: TrackedRun, flow_run_id: str | None
) -> Version:
    """Write report and card, assemble the version folder, and register it with its verdict.

    A stop leaves what is written aside, which takes minutes for much text; what is written into the
    registry ends first.

    Args:
        candidate: To become a version.
        tracked: The MLflow run that it belongs to.
        flow_run_id: Prefect flow run.
    """
    registry = Registry(candidate.run.home)
    number = next_number(registry, candidate.run.config.name)
    data = candidate.report_data(version=number)
    page = render_report(data)
    sketches = sketching(candidate.run, candidate.corpus.documents, candidate.last)()
    folder = _assembled(candidate, sketches, page=page, card=render_card(data))
    # Before the version is registered: of what lies in the home for long it keeps no second copy.
    shutil.rmtree(sketches.path, ignore_errors=True)
    description = description_markdown(data, most_characters=DESCRIPTION_CHARACTERS)
    with to_the_end("registering the version"):
        tracked.log_text(page, "report.html")
        tracked.log_text(json.dumps(candidate.gates, indent=1), "gates.json")
        tracked.log_text(candidate.run.config.to_yaml(), "config.yaml")
        base_tags = {}
        if candidate.pretrained is not None:
            # Before the version, which means nothing without it.
            base_tags = version_tags(registry.bases.register(candidate.pretrained))
        version = registry.register(
            candidate.run.config.name,
            folder,
            _registration(
                candidate,
                run_id=tracked.run_id,
                flow_run_id=flow_run_id,
                description=description,
                base_tags=base_tags,
            ),
        )
        # The registry has its own copy, and verified it.
        shutil.rmtree(folder.path, ignore_errors=True)
    logger.info("register: version %d of %s", version.number, version.model)
    if version.number != number:
        logger.warning(
            "register: the report inside version %d calls it version %d, as another was registered"
            " meanwhile",
            version.number,
            number,
        )
    return version


def _assembled(candidate: Candidate, sketches: SketchSet, *, page: str, card: str) -> VersionFolder:
    """The version as a folder of its own."""
    run, documents = candidate.run, candidate.corpus.documents
    return assemble_version(
        run.home.work / f"version-{run.key.digest[:32]}",
        VersionParts(
            best=candidate.checkpoint.path / "best",
            tokenizer=candidate.corpus.tokenizer.path,
            evaluation=candidate.report.path,
            documents=documents.iter_rows(),
            sources=documents.sources(),
            config=run.config.to_yaml(),
            report=page,
            card=card,
            lineage=candidate.lineage(),
            canaries=_canaries(candidate.corpus),
            sketches=sketches.rows(),
            summary={
                "model": run.config.name,
                "verdict": candidate.verdict.reason,
                SKETCHED_BY: sketching_code(),
            },
        ),
    )


def _registration(
    candidate: Candidate,
    *,
    run_id: str,
    flow_run_id: str | None,
    description: str,
    base_tags: Mapping[str, str],
) -> Registration:
    """What the registry is told beside the files."""
    run, verdict = candidate.run, candidate.verdict
    return Registration(
        run_id=run_id,
        run_key=run.key.digest,
        passed=verdict.passed,
        verdict=verdict.reason,
        metrics=candidate.report.metrics(),
        fingerprints=candidate.fingerprints,
        flow_run_id=flow_run_id,
        description=description,
        tags={
            **fact_tags(candidate.gates, candidate.corpus.documents.summary),
            "task": run.config.task,
            "run_base": run.key.base,
            "start_weights": candidate.start.weights_sha256 or "",
            **({"base": run.base.designation} if run.base else {}),
            **base_tags,
        },
        task=run.config.task,
        example=run.task.example,
    )
