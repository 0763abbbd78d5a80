"""Base of every configuration section: frozen, strict about names, hashable."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A configuration section: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
