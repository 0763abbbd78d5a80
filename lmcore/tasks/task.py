"""The tasks that there are, one value each: what a model answers, and how that is judged.

Whatever differs between tasks and is no code is an attribute here; what is code asks the value,
never the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmcore.evaluation.statistics.metric import Metric

if TYPE_CHECKING:
    from lmcore.evaluation.config import GateName

TaskName = Literal["language_modelling", "sentiment", "translation", "summarization"]
Answer = Literal["continuation", "label", "text"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        name: In configurations, records and answers.
        title: For people.
        answer: What a model gives back: more of the same text, a label, or a text of its own.
        target: What the column of right answers holds; None where the text itself is learnt.
        verb: What a model does with an input.
        deciding: The metric that gates decide on.
        each: How good a single answer is, in words.
        gates: Those that are asked, in order.
        example: An input that a registry may show and try.
        copies: Whether a model gets a pointer where the configuration leaves it open.
        no_repeat_ngram_size: Tokens in a row that may not come twice in an output where the
            configuration leaves it open; 0: no such rule.
        max_growth: How many times longer than the longest source an output may be; None: no bound.
    """

    name: TaskName
    title: str
    answer: Answer
    target: str | None
    verb: str
    deciding: Metric
    each: str
    gates: tuple[GateName, ...]
    example: str
    copies: bool = False
    no_repeat_ngram_size: int = 0
    max_growth: float | None = None

    @property
    def is_language_model(self) -> bool:
        """Whether the text itself is learnt: tasks start from such a model, drift is seen in it."""
        return self.answer == "continuation"

    @property
    def chooses_label(self) -> bool:
        """Whether an answer is one of a few labels."""
        return self.answer == "label"

    @property
    def writes_text(self) -> bool:
        """Whether an answer is a text that stands beside the input."""
        return self.answer == "text"


_OF_EVERY_TASK: tuple[GateName, ...] = (
    "instrument",
    "provenance",
    "competence",
    "champion",
    "overfitting",
    "contamination",
)

LANGUAGE_MODELLING = Task(
    name="language_modelling",
    title="language modelling",
    answer="continuation",
    target=None,
    verb="continue",
    deciding=Metric(
        name="val_bits_per_byte", title="bits per byte", unit="bits/byte", higher_is_better=False
    ),
    each="bits per byte of a document",
    gates=(
        "instrument",
        "provenance",
        "pii",
        "competence",
        "champion",
        "overfitting",
        "contamination",
        "regurgitation",
        "exposure",
        "bias_lm",
        "data_sufficiency",
    ),
    example="Once upon a time",
)
SENTIMENT = Task(
    name="sentiment",
    title="sentiment",
    answer="label",
    target="label",
    verb="label",
    deciding=Metric(name="accuracy", title="accuracy", unit="share", places=".1%"),
    each="probability of the right label",
    gates=(*_OF_EVERY_TASK, "bias_task"),
    example="It was well worth the wait.",
)
TRANSLATION = Task(
    name="translation",
    title="translation",
    answer="text",
    target="translation",
    verb="translate",
    deciding=Metric(name="bleu", title="BLEU", unit="BLEU", places=".1f"),
    each="chrF of a sentence",
    gates=_OF_EVERY_TASK,
    example="A man reads a letter.",
    max_growth=2.0,  # a translation is rarely more than so much longer than its source
)
SUMMARIZATION = Task(
    name="summarization",
    title="summarization",
    answer="text",
    target="summary",
    verb="summarize",
    deciding=Metric(name="rougeL", title="ROUGE-L", unit="share"),
    each="ROUGE-L",
    gates=_OF_EVERY_TASK,
    example="The council met on Monday. It spoke about the bridge. Work begins in May.",
    copies=True,
    no_repeat_ngram_size=3,
)

TASKS: Mapping[str, Task] = {
    task.name: task for task in (LANGUAGE_MODELLING, SENTIMENT, TRANSLATION, SUMMARIZATION)
}


def task_named(name: str | None) -> Task:
    """The task of this name; of one that this release does not know, that of language models.

    For names in tags, which anybody can edit; a configuration's name is always in `TASKS`.
    """
    return TASKS.get(name or "", LANGUAGE_MODELLING)
