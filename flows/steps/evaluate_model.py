"""A checkpoint to scores, gates and a verdict, beside the models it is compared with."""

from __future__ import annotations

import logging
from collections import Counter

from flows.registry.models import Registry
from flows.steps.evaluation_inputs import ownership_of_base
from flows.steps.progress import counting
from flows.steps.run import Run
from flows.steps.shards import share_out
from flows.steps.since_last import last_readable
from flows.steps.sketches import sketching
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.evaluate import Helpers, evaluate_model
from lmcore.evaluation.inputs import Challenge
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
    challenge = ownership_of_base(config, run.home, challenge)
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
    last = last_readable(Registry(run.home), config.name)
    return evaluate_model(
        run.store,
        corpus,
        challenge=challenge,
        gates=config.gates,
        seed=config.training.seed,
        removals=run.removals,
        on_progress=counting("documents"),
        helpers=Helpers(
            share_out=lambda questions: share_out(config, run.home, corpus, challenge, questions),
            later=[sketching(run, corpus.documents, last)],
        ),
    )
