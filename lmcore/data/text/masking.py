"""Everything that a pipeline masks in a text: personal data by pattern, and names by a model.

In: the masking part of a configuration.  Out: one value that does the same to a document at ingest,
to a file that is scored and to an input that a version answers, so that no answer depends on
personal data that the model never saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lmcore.data.config import DataConfig
from lmcore.data.text.person_names import NameFinder, load_names, mask_names
from lmcore.data.text.privacy import Masked, Masking

#: Keys of `data` that say what is masked.
KEYS = ("pii", "names", "phone_regions")


class DocumentMasking:
    """What is masked, and whether it is.

    Args:
        patterns: Personal data by pattern.
        names: Finds names of people, where they are masked too.
        keeps: Whether text stays as it is (`data.pii: keep`); it is searched all the same.
    """

    def __init__(
        self, patterns: Masking, *, names: NameFinder | None = None, keeps: bool = False
    ) -> None:
        self.patterns, self.keeps = patterns, keeps
        self._names = names

    @classmethod
    def of(cls, data: DataConfig) -> DocumentMasking:
        """The masking of a configuration.

        Raises:
            ConfigError: If the model that finds names cannot be loaded.
        """
        return cls(
            Masking.of(data.phone_regions),
            names=None if data.names is None else load_names(data.names),
            keeps=data.pii == "keep",
        )

    def find(self, text: str) -> Masked:
        """The text with all that is found masked, whether or not the pipeline keeps it."""
        masked = self.patterns.mask(text)
        if self._names is None:
            return masked
        named = mask_names(masked.text, finder=self._names)
        return Masked(
            text=named.text,
            counts={**masked.counts, **named.counts},
            spans=(*masked.spans, *named.spans),
        )

    def apply(self, text: str) -> str:
        """The text as the pipeline has it."""
        return text if self.keeps else self.find(text).text


def masking_settings(raw: Any) -> DataConfig:
    """The keys of a stored `data` section that say what is masked; those of any release are read.

    Raises:
        ValueError: If one of them has a value that no release wrote.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"data is a {type(raw).__name__}; expected keys and values")
    try:
        return DataConfig.model_validate({key: raw[key] for key in KEYS if key in raw})
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["msg"])) from error
