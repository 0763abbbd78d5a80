"""The model that is gone on from, as a content folder: what was given, checked and in one form.

config.json        of the `transformers` library
model.safetensors  weights in the type that they were given in; those of a GGUF file as float32
tokenizer.json     of the `tokenizers` library
base.json          `BaseRecord`
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmcore.chat_template import ChatTemplate
from lmcore.content_store import Handle
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest
from lmcore.settings import Section

BASE_FILE = "base.json"
LIBRARY_CONFIG_FILE = "config.json"
LIBRARY_WEIGHTS_FILE = "model.safetensors"
LIBRARY_TOKENIZER_FILE = "tokenizer.json"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MODEL_FILE = "model.json"  # of a stored model, `lmcore.model.language_model`


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
        chat: How it wants to be talked to; None: not at all.
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
    chat: ChatTemplate | None = None


@dataclass(frozen=True, kw_only=True)
class BaseReference:
    """What a stored model names the model by that it was gone on from.

    Attributes:
        key: Of the base's folder.
        weights_sha256: Of the base's weights.
    """

    key: str
    weights_sha256: str


class Base(Handle):
    """A model that is gone on from; see the module. The summary holds small facts of its record."""

    kind = "pretrained"

    def record(self) -> BaseRecord:
        """What is known of it.

        Raises:
            IntegrityError: If that cannot be read.
        """
        return read_record(self.path)

    def substance(self) -> tuple[str, ...]:
        """What what is learnt from it depends on: its bytes, and not what is said of it."""
        files = Manifest.read(self.path).files
        names = (LIBRARY_CONFIG_FILE, LIBRARY_WEIGHTS_FILE, LIBRARY_TOKENIZER_FILE)
        return (*(files[name][1] for name in names), str(self.record().end_id))

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


def reference_of(model: Path) -> BaseReference | None:
    """What the folder of a stored model needs beside itself; None where that is nothing.

    Raises:
        IntegrityError: If it does not say.
    """
    path = model / _MODEL_FILE
    try:
        named = json.loads(path.read_text(encoding="utf-8")).get("base")
        if named is None:
            return None
        reference = BaseReference(key=str(named["key"]), weights_sha256=str(named["weights"]))
        if not all(map(_DIGEST.fullmatch, (reference.key, reference.weights_sha256))):
            raise ValueError("no SHA-256")
        return reference
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path}: does not say which model it was made from ({type(error).__name__}: {error});"
            " nothing was loaded. Use another version, or train again"
        ) from error


def check_base(base: Base, wanted: BaseReference) -> None:
    """Refuse a base that is not the one that a stored model was made from.

    Raises:
        IntegrityError: If its weights are others.
    """
    found = base.record().weights_sha256
    listed = Manifest.read(base.path).files.get(LIBRARY_WEIGHTS_FILE, (0, ""))[1]
    if base.key != wanted.key or {found, listed} != {wanted.weights_sha256}:
        raise IntegrityError(
            f"{base.path}: the weights of this pretrained model are {listed[:12]}, but those that"
            f" the version was made from are {wanted.weights_sha256[:12]}; nothing was loaded."
            " Delete the folder to have it fetched or made again"
        )
