"""The model that is gone on from, as a content folder: what was given, checked and in one form.

config.json        of the `transformers` library
model.safetensors  weights in the type that they were given in; those of a GGUF file as float32
tokenizer.json     of the `tokenizers` library
base.json          `BaseRecord`
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmcore.artifacts import Handle
from lmcore.errors import IntegrityError
from lmcore.settings import Section

BASE_FILE = "base.json"
LIBRARY_CONFIG_FILE = "config.json"
LIBRARY_WEIGHTS_FILE = "model.safetensors"
LIBRARY_TOKENIZER_FILE = "tokenizer.json"


class BaseRecord(Section):
    """What is known of a model that is gone on from.

    Attributes:
        source: As it was asked for.
        name: Short, for people.
        architecture: Of its `config.json`.
        parameters: Numbers that it consists of.
        vocab_size: Rows of its embedding; those without a token are never predicted by a text.
        end_token: Token that starts and ends documents.
        end_id: Its id.
        most_tokens: Most tokens that it was made to read together; None: without a limit.
        files: SHA-256 of each file that was given, by name.
        weights_sha256: Of `model.safetensors`.
        known_until: Last day of the text that it has read; None: not known.
        license: SPDX expression, or `unknown`.
        origin: Where it came from, in words.
        card: Its own description (README.md), at most 64 kB; empty where there is none.
    """

    schema_version: int = 1
    source: str
    name: str
    architecture: str
    parameters: int
    vocab_size: int
    end_token: str
    end_id: int
    most_tokens: int | None
    files: dict[str, str]
    weights_sha256: str
    known_until: date | None = None
    license: str = "unknown"
    origin: str = ""
    card: str = ""


class Base(Handle):
    """A model that is gone on from; see the module. The summary holds small facts of its record."""

    kind = "pretrained"

    def record(self) -> BaseRecord:
        """What is known of it.

        Raises:
            IntegrityError: If that cannot be read.
        """
        return read_record(self.path)

    def lineage(self) -> dict[str, Any]:
        """What the lineage of a version names it by, as JSON values."""
        record = self.record()
        return {
            "key": self.key,
            "weights": record.weights_sha256,
            "name": record.name,
            "source": record.source,
            "license": record.license,
            "origin": record.origin,
            "known_until": record.known_until.isoformat() if record.known_until else None,
        }


def read_record(folder: Path) -> BaseRecord:
    """The record of a base's folder.

    Raises:
        IntegrityError: If it cannot be read.
    """
    path = folder / BASE_FILE
    try:
        return BaseRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(
            f"{path}: does not say what model this is ({reason}); nothing was loaded. Delete the"
            " folder to have it made again"
        ) from error
