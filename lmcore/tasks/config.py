"""How a language model becomes a classifier, a translator or a summarizer."""

from pydantic import Field

from lmcore.model.config import AnyModelConfig
from lmcore.settings import Section
from lmcore.tasks.task import Task


class FineTuningConfig(Section):
    """Settings of the tasks; language modelling ignores them."""

    max_source_tokens: int = Field(
        256,
        ge=8,
        le=1 << 14,
        description="Tokens of an input that are read; longer ones are cut there, and the answer"
        " says so. More take more memory and time.",
    )
    max_target_tokens: int = Field(
        128,
        ge=4,
        le=1 << 12,
        description="Most tokens of a translation or summary that is written; make it as long as"
        " your longest usual target.",
    )
    adaptation_share: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="Sentiment: share of the training in which the language model reads the task's"
        " own text, before its labels, which helps where few are labelled; 0: none; null: 0.4, and"
        " 0 for a model that exists.",
    )
    unfreezing_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Sentiment: share of the classifier's training in which its layers are freed"
        " one by one, from the top, so that what they know is not overwritten at first; a model"
        " that exists learns as a whole.",
    )
    layer_decay: float = Field(
        1.5,
        ge=1,
        le=100,
        description="Sentiment: factor by which a layer learns more slowly than the one above it;"
        " 1: all alike. A model that exists learns as a whole.",
    )
    word_counts: bool = Field(
        True,
        description="Sentiment: whether a linear model over words and pairs of them stands beside"
        " the network, which is strong where texts are few.",
    )
    source_loss: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Translation and summarization: weight of predicting the source beside the"
        " target, falling to zero in the first half of the training; it teaches the language"
        " first.",
    )
    copying: bool | None = Field(
        None,
        description="Translation and summarization: a pointer that copies tokens of the source"
        " (`model.pointer`); null: for summaries. A model that exists has none.",
    )
    beam_size: int = Field(
        4,
        ge=1,
        le=64,
        description="Translation and summarization: hypotheses that are kept open while writing; 1"
        " is the fastest, more than 5 seldom help.",
    )
    length_penalty: float = Field(
        1.0,
        ge=0,
        lt=10,
        description="Translation and summarization: exponent of the length by which a hypothesis'"
        " log-probability is divided; more favours longer ones, 0 the shortest.",
    )
    no_repeat_ngram_size: int | None = Field(
        None,
        ge=0,
        le=64,
        description="Translation and summarization: so many tokens in a row may not come twice in"
        " an output; 0: no such rule; null: 3 for summaries, which would repeat themselves, else"
        " 0.",
    )

    def adaptation(self, shape: AnyModelConfig) -> float:
        """Share of the training in which a classifier's language model reads the task's text."""
        own = self.adaptation_share
        return shape.habits.adaptation_share if own is None else own

    def copies(self, task: Task) -> bool:
        """Whether the model gets a pointer for the task."""
        return task.copies if self.copying is None else self.copying

    def no_repeat(self, task: Task) -> int:
        """Tokens in a row that may not come twice in an output; 0: no such rule."""
        own = self.no_repeat_ngram_size
        return task.no_repeat_ngram_size if own is None else own
