"""Configuration of serving: whether what is asked is kept, how much of it, and how long."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from lmcore.settings import Section


class ServeConfig(Section):
    """What `lmcore serve` keeps of the requests to this model; nothing unless it says so."""

    record: Literal["off", "sampled"] = Field(
        "off",
        description="Whether what `lmcore serve` is asked is kept. sampled: a share of the"
        " requests, and all feedback, for monitoring and as a source of text.",
    )
    share: float = Field(
        0.05,
        gt=0.0,
        le=1.0,
        description="Share of the requests that is kept, drawn at random; one in twenty shows"
        " drift where there are thousands. Raise it where few ask.",
    )
    keep_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="Days after which what was kept is deleted; it is what people wrote, so no"
        " longer than it is needed.",
    )
    mask_pii: bool = Field(
        True,
        description="Whether personal data is masked before a request is kept, also where"
        " `data.pii` is keep.",
    )

    @field_validator("record", mode="before")
    @classmethod
    def _off(cls, record: Any) -> Any:
        return "off" if record is False else record  # YAML reads a bare off as false

    @property
    def records(self) -> bool:
        """Whether anything is kept."""
        return self.record == "sampled"
