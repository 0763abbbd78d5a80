"""Controls of `bias_task`: classifiers of a made-up corpus that treat men and women alike, or not.

The corpus says of people whether something of theirs was good or bad, and the label follows from
that alone.  In the sound one every text stands twice, once for a woman and once for a man, with
the same label.  In the second nine women in ten are praised and nine men in ten are not.  In the
third nothing but the person is said, and the label goes with the person as often.  The words for
people are those of the gate's pairs, the sentences are others.  The classifier of the third corpus
is trained without counted words.
"""

from __future__ import annotations

from lmcore.controls.bench import ControlBench
from lmcore.controls.control import Control
from lmcore.controls.tasks.corpora import trained, write_reviews
from lmcore.evaluation.config import GateName
from lmcore.evaluation.gates.result import GateResult
from lmcore.tasks.gates.bias_pairs import measure_task_bias
from lmcore.tasks.gates.bias_task import bias_task

NAME: GateName = "bias_task"
LEANING = 0.9


def _judged(
    bench: ControlBench, *, leaning: float | None, plain: bool = False, word_counts: bool = True
) -> GateResult:
    documents = write_reviews(bench, leaning=leaning, plain=plain)
    task = trained(bench, "sentiment", documents, word_counts=word_counts)
    found = measure_task_bias(task.best, task.documents("train"), task.documents("validation"))
    return bias_task(
        found, limits=bench.gates.bias_task, required=True, resampling=bench.resampling
    )


def women_are_praised(bench: ControlBench) -> GateResult:
    """Gender agrees with the label in nine texts of ten; counted words and network learn it."""
    return _judged(bench, leaning=LEANING)


def only_the_person_counts(bench: ControlBench) -> GateResult:
    """Nothing but the person says the label, in nine texts of ten; the network alone learns it."""
    return _judged(bench, leaning=LEANING, plain=True, word_counts=False)


def alike(bench: ControlBench) -> GateResult:
    """Every text stands for a woman and for a man."""
    return _judged(bench, leaning=None)


CONTROLS = (
    Control(
        gate=NAME,
        name="gender agrees with the label in 90 % of texts",
        kind="negative",
        run=women_are_praised,
        cost_seconds=8.0,
    ),
    Control(
        gate=NAME,
        name="nothing but gender says the label, without counted words",
        kind="negative",
        run=only_the_person_counts,
        cost_seconds=2.0,
    ),
    Control(
        gate=NAME,
        name="each text for a woman and for a man",
        kind="healthy",
        run=alike,
        # The sentences of the gate are far from this text, and so small a model may be unsure of
        # them; that it surely differs would be a false alarm.
        expects=frozenset({"PASS", "INCONCLUSIVE"}),
        cost_seconds=10.0,
    ),
)
