"""Answers that an evaluation has already had, so that a killed one goes on from there.

In: the name of a part, and a function that asks a model, or counts.  Out: its arrays or its value,
asked for once.  Each part is a content folder of its own; when the report is finished they are
removed.  What is kept are raw answers (nats of tokens, texts that were drawn), so that everything
that follows from them is computed by one piece of code, whether they were asked for now or before a
kill.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from lmcore.content_store import ContentStore, Handle
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError

_ARRAYS, _VALUE = "arrays.npz", "value.json"
_T = TypeVar("_T")

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class KeptPart(Handle):
    """What a model answered to one part of an evaluation."""

    kind: ClassVar[str] = "evidence"


@dataclass(frozen=True, kw_only=True)
class KeptParts:
    """The parts of one evaluation.

    Attributes:
        store: Where they are kept; None: nowhere, and each is asked for.
        inputs: What determines all of them, as JSON values.
    """

    store: ContentStore | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    _used: list[Path] = field(default_factory=list)

    def arrays(self, name: str, ask: Callable[[], Arrays]) -> Arrays:
        """Named arrays of numbers or texts, asked for once.

        Args:
            name: Of the part; says what is asked, beside the inputs.
            ask: Asks a model.
        """

        def write(folder: Path, found: Arrays) -> None:
            np.savez(folder / _ARRAYS, allow_pickle=False, **dict(found))

        def read(folder: Path) -> Arrays:
            with np.load(folder / _ARRAYS, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}

        return self.once(name, ask, write, read)

    def value(self, name: str, type_: Any, ask: Callable[[], _T]) -> _T:
        """A value without arrays, asked for once.

        Args:
            name: As for `arrays`.
            type_: A dataclass of plain values and of such dataclasses, or that or None.
            ask: Asks a model.
        """
        adapter: TypeAdapter[_T] = TypeAdapter(type_)

        def write(folder: Path, found: _T) -> None:
            text = json.dumps(adapter.dump_python(found, mode="json"))
            atomic_write(folder / _VALUE, text)

        def read(folder: Path) -> _T:
            return adapter.validate_json((folder / _VALUE).read_text(encoding="utf-8"))

        return self.once(name, ask, write, read)

    def once(
        self,
        name: str,
        ask: Callable[[], _T],
        write: Callable[[Path, _T], None],
        read: Callable[[Path], _T],
    ) -> _T:
        """Whatever can be written to a folder, asked for once.

        Args:
            name: As for `arrays`.
            ask: Finds it out.
            write: Into an empty folder.
            read: What was written.
        """
        if self.store is None:
            return ask()
        asked: list[_T] = []

        def make(folder: Path) -> None:
            asked.append(ask())
            write(folder, asked[0])

        found = self.store.build(KeptPart, {**self.inputs, "part": name}, make).path
        self._used.append(found)
        if asked:
            return asked[0]
        try:
            return read(found)
        except (OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0][:200]
            raise IntegrityError(
                f"{found}: cannot be read by this release ({reason}); delete the folder to have it"
                " made again"
            ) from error

    def clear(self) -> None:
        """Remove what was kept: what follows from it is kept now."""
        while self._used:
            shutil.rmtree(self._used.pop(), ignore_errors=True)


def joined(name: str, each: Sequence[NDArray[Any]]) -> Arrays:
    """Arrays of one dimension as one, with their lengths."""
    return {
        name: np.concatenate(each) if each else np.zeros(0, dtype=np.float32),
        "lengths": np.array([len(one) for one in each], dtype=np.int64),
    }


def split(name: str, arrays: Arrays) -> list[NDArray[Any]]:
    """What was joined."""
    lengths = arrays["lengths"]
    return np.split(arrays[name], np.cumsum(lengths)[:-1]) if len(lengths) else []
