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

    max_increase_bits_per_byte: float = Field(ge=0, le=8, description="Tolerated on fresh text.")
    min_documents: int = Field(ge=2, le=1_000_000, description="Near-copies count once.")
    max_fresh_bytes: int = Field(ge=1_000, le=1 << 34)
    max_check_bytes: int = Field(ge=1_000, le=1 << 34)
    max_check_difference_bits_per_byte: float = Field(gt=0, le=1)
    max_vocabulary_bytes: int = Field(ge=1_000, le=1 << 34)
    max_request_bytes: int = Field(ge=1_000, le=1 << 34)
    max_accuracy_drop: float = Field(ge=0, le=1, description="Tolerated in use.")
    min_feedback: int = Field(ge=2, le=1_000_000)
    resamples: int = Field(ge=1_000, le=1_000_000)

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
