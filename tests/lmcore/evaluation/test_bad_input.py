"""Evidence that is missing, not finite or about something else: a clear state, never a PASS."""

import math
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent, Margin, champion
from lmcore.evaluation.gates.competence import competence, ngram_bars
from lmcore.evaluation.gates.overfitting import FitLimits, fit_of_language, overfitting
from lmcore.evaluation.gates.result import GateResult, Verdict, guarded
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.scores.published import contract_metrics
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, measured_bits
from lmcore.evaluation.statistics.resampling import Resampling

GATES = GatesConfig.default()
OPTIONS = {"required": True, "resampling": Resampling(resamples=1000)}
GOOD = np.linspace(1.2, 1.6, 20)
NAMES = ("competence", "champion", "overfitting")


def ask(scores, name, ours, theirs):
    """One gate, guarded, on bits by document of the model and of what it is compared with."""
    model, other = scores(ours), scores(theirs)

    def judge(_):
        if name == "competence":
            bars = ngram_bars({5: other}, order=5)
            return competence(measured_bits(model), bars, **OPTIONS)
        if name == "champion":
            incumbent = Incumbent(version=3, measured=measured_bits(other))
            margin = Margin.of(GATES, BITS_PER_BYTE)
            return champion(
                measured_bits(model), incumbent, anchor=model.anchor, margin=margin, **OPTIONS
            )
        reference = Reference(validation=scores(ours), train=scores(theirs))
        fit = fit_of_language(model, other, reference=reference, final=None)
        return overfitting(fit, limits=FitLimits.of(GATES, BITS_PER_BYTE), **OPTIONS)

    return guarded(name, required=True, judge=judge)


def broken(value, count=20):
    bits = GOOD[:count].copy()
    bits[count // 2] = value
    return bits


# Infinity minus infinity on the way to the refusal is no fault.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", ["model", "other"])
def test_scores_that_are_not_finite_fail_and_are_shown(scores, name, value, side):
    bad, good = broken(value), GOOD + 1
    found = ask(scores, name, *((bad, good) if side == "model" else (good - 2, bad)))
    # What is wrong with an old champion is no fault of the new model.
    outcome = "INCONCLUSIVE" if (name, side) == ("champion", "other") else "FAIL"
    assert found.outcome == outcome
    assert "finite" in found.reason
    # A difference of infinities is no number either.
    assert "nan" in found.reason or "inf" in found.reason
    verdict = Verdict(results=[found])
    assert not verdict.passed
    assert verdict.outcome == outcome


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1])
def test_no_document_and_one_document_are_inconclusive(scores, name, count):
    found = ask(scores, name, GOOD[:count], GOOD[:count] + 1)
    assert found.outcome == "INCONCLUSIVE"
    assert found.value is None
    assert "document" in found.reason


def test_metrics_of_nothing_raise(scores):
    empty = scores([])
    with pytest.raises(EmptyEvaluationError):
        contract_metrics(
            validation=empty, train=empty, baselines={}, facts={}, resampling=Resampling()
        )


def test_a_verdict_over_nothing_is_no_pass():
    assert not Verdict(results=[]).passed
    skipped = GateResult(gate="bias_lm", required=False, outcome="SKIPPED", reason="x")
    assert not Verdict(results=[skipped]).passed


COMBINED = """
import socket
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
socket.create_connection = refuse
import evaluate
from lmcore.evaluation.scores.metrics import BitsPerByte, PairedBitsPerByte
data = dict(
    predictions=[1.0, 2.0, 4.0], baseline=[2.0, 2.0, 5.0], references=[1, 2, 3],
    cluster=["a", "b", "c"], seed=4, resamples=1000,
)
alone = BitsPerByte().compute(**{k: v for k, v in data.items() if k != "baseline"})
alone |= PairedBitsPerByte().compute(**data)
both = evaluate.combine([BitsPerByte(), PairedBitsPerByte()])
assert both.compute(**data) == alone, (alone,)
batches = evaluate.combine([BitsPerByte(), PairedBitsPerByte()])
for part in (slice(0, 1), slice(1, 3)):
    batches.add_batch(**{k: data[k][part] for k in ("predictions", "baseline", "references")})
found = batches.compute(cluster=data["cluster"], seed=4, resamples=1000)
assert found == alone, (found, alone)
print(sorted(alone))
"""


def test_metrics_combine_without_a_network(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "HF_HOME": str(home / "hf")}
    for name in ("HF_EVALUATE_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE"):
        environment.pop(name, None)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", COMBINED],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "bits_per_byte_difference_upper" in done.stdout
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert socket.socket.connect  # only the other process was cut off
