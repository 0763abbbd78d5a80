"""The library of metrics is had without its evaluators, and they are had by who wants them."""

import subprocess
import sys

SCRIPT = """
import sys
from lmcore.evaluation.scores.metrics import BitsPerByte
heavy = {"transformers", "torch", "scipy.stats"} & set(sys.modules)
assert not heavy, heavy
assert BitsPerByte().compute(predictions=[0.0, 0.0], references=[1, 2])["bits_per_byte"] == 0.0
import evaluate
sys.modules["transformers"] = None  # which the library does without, and imports in seconds
from evaluate.evaluator import Evaluator
assert isinstance(Evaluator, type)
assert issubclass(BitsPerByte, evaluate.Metric)
"""


def test_metrics_bring_no_evaluators_along() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], check=True)
