"""Gate `competence`: is the model better than a table of byte n-grams?

Statistic: bits per byte of the model minus those of an interpolated Kneser-Ney byte n-gram
(order 5 by default), paired by document.  PASS: its upper bound is below the limit, zero.
It catches a model that was registered but has learnt nothing worth its cost.
Source: the baseline of Chen and Goodman, TR-10-98 (1998); pairing as in Miller,
arXiv:2411.00640, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import CompetenceLimits
from lmcore.evaluation.gates.result import GateResult, judge_upper
from lmcore.evaluation.scores.metrics import bits_per_byte_difference
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import RESAMPLES

NAME = "competence"


def competence(
    model: ScoreTable,
    baselines: Mapping[int, ScoreTable],
    *,
    limits: CompetenceLimits,
    required: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> GateResult:
    """Compare with the n-grams on the same documents.

    Args:
        model: Scores of the model on validation.
        baselines: Scores of the n-grams by order, on the same documents.
        limits: Which order decides, and by how much it must be beaten.
        required: Whether promotion needs this gate.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Raises:
        EmptyEvaluationError: If the deciding order was not scored, or scores are not finite.
    """
    order, limit = limits.baseline_order, limits.max_difference_bits_per_byte
    if order not in baselines:
        raise EmptyEvaluationError(f"the byte {order}-gram was not scored")
    differences = {
        k: bits_per_byte_difference(model, table, seed=seed, resamples=resamples)
        for k, table in sorted(baselines.items())
    }
    decisive = differences[order]
    outcome = judge_upper(decisive, limit, strict=True)
    own, bar = model.total_bits_per_byte(), model.aligned(baselines[order]).total_bits_per_byte()
    compared = f"{own:.3f} bits per byte against {bar:.3f} of a simple byte {order}-gram"
    verdict = {
        "PASS": f"better by at least {-decisive.upper:.3f}",
        "FAIL": f"not better: {decisive.value:+.3f}, and {decisive.lower:+.3f} at the very best",
    }.get(outcome, f"too close to call, from {decisive.lower:+.3f} to {decisive.upper:+.3f}")
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=decisive.value,
        lower=decisive.lower,
        upper=decisive.upper,
        limit=limit,
        unit="bits/byte",
        reason=f"The model needs {compared} on the same {decisive.n} documents; {verdict}.",
        evidence={
            "baseline_order": order,
            "model_bits_per_byte": own,
            "differences": {f"kn{k}": interval.to_json() for k, interval in differences.items()},
        },
    )
