"""Limits of monitoring: `configs/monitor.yaml`, overridden key by key.

In comes a mapping with some keys, out goes a complete and frozen `MonitorConfig`.  Defaults live in
the YAML file alone, each beside its reason.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import yaml
from pydantic import Field, model_validator

from lmcore.settings import Section
from lmcore.yaml_file import shipped


class MonitorConfig(Section):
    """When fresh text counts as drift, and how much of it is looked at."""

    max_increase_bits_per_byte: float = Field(
        ge=0,
        le=8,
        description="Bits per byte that fresh text may surely cost the champion more than its own"
        " held-out text, before it has drifted; less lies within what topics differ by.",
    )
    min_documents: int = Field(
        ge=2,
        le=1_000_000,
        description="Fresh documents, near-copies counted once, that an answer needs; an interval"
        " over fewer says more about their topic.",
    )
    max_fresh_bytes: int = Field(
        ge=1_000,
        le=1 << 34,
        description="Bytes of fresh text that are scored; of more, documents are sampled by a"
        " hash. 4 MB take half a minute.",
    )
    max_check_bytes: int = Field(
        ge=1_000,
        le=1 << 34,
        description="Bytes of the reference that are scored again, as scores of another machine or"
        " library are no scale to measure by.",
    )
    max_check_difference_bits_per_byte: float = Field(
        gt=0,
        le=1,
        description="Bits per byte by which scoring again may differ; sums in another order move a"
        " document by less than a thousandth of it.",
    )
    max_vocabulary_bytes: int = Field(
        ge=1_000,
        le=1 << 34,
        description="Bytes of training text that are read for the list of known words; beyond 32"
        " MB, new text hardly adds words.",
    )
    max_request_bytes: int = Field(
        ge=1_000,
        le=1 << 34,
        description="Bytes of the newest kept requests that are scored, and as much of the"
        " reference beside them; 400 kB take four seconds.",
    )
    max_accuracy_drop: float = Field(
        ge=0,
        le=1,
        description="Share of answers by which a task may be right less often in use than on its"
        " held-out text; people ask harder things, and who is content says nothing.",
    )
    min_feedback: int = Field(
        ge=2,
        le=1_000_000,
        description="Answers with feedback that a judgement of a task in use needs; the bounds"
        " over fewer are wider than any difference that matters.",
    )
    resamples: int = Field(
        ge=1_000,
        le=1_000_000,
        description="Bootstrap samples that each interval is drawn from; with 10,000 the chance in"
        " a 95 % bound is below 0.3 percentage points.",
    )

    @model_validator(mode="before")
    @classmethod
    def _under_it_the_defaults(cls, given: object) -> object:
        return {**_default_values(), **given} if isinstance(given, Mapping) else given

    @classmethod
    def default(cls) -> Self:
        """The limits as installed."""
        return cls.model_validate({})


def default_monitor_path() -> Path:
    """The file with the default limits and their reasons."""
    return shipped("monitor.yaml")


@functools.cache
def _default_values() -> dict[str, Any]:
    text = default_monitor_path().read_text(encoding="utf-8")
    return cast(dict[str, Any], yaml.safe_load(text))
