"""Base of every configuration section: frozen, strict about names, hashable."""

from pydantic import BaseModel, ConfigDict

#: What a registered model may be called.
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"


class Section(BaseModel):
    """A configuration section: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
