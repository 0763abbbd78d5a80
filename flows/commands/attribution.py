"""`lmcore generate --attribute`: where pieces of a text stand verbatim in the training data.

A version carries the documents' ids, sources and licences, and never their text.  The text lies in
the content store of the home that trained it, as token shards named in the version's lineage; the
index over them is made once and kept beside them.  Where the shards are gone (pruned, forgotten,
another machine), the answer is an error that says so, never an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.home.environment import Home
from lmcore.artifacts import ContentStore
from lmcore.data.tokens.shards import ShardSet
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.errors import IntegrityError, UserError
from lmcore.evaluation.memory.attribution import attribute
from lmcore.evaluation.memory.suffix_array import TrainIndex, train_index
from lmcore.version_folder import VersionFolder


class Attributor:
    """Attributes texts to the training data of one version.

    Raises:
        UserError: If the training text of the version is not in this home any more.
    """

    def __init__(self, folder: VersionFolder, tokenizer: Tokenizer, home: Home) -> None:
        self._folder, self._tokenizer = folder, tokenizer
        self._index = _open_index(folder, home)

    def spans(self, text: str) -> list[dict[str, Any]]:
        """Verbatim spans of a text as JSON values, in order."""
        found = attribute(
            text, index=self._index, tokenizer=self._tokenizer, look_up=self._documents
        )
        return [span.to_json() for span in found]

    def _documents(self, ids: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        if not ids:
            return {}
        return {
            row["id"]: {
                "id": row["id"],
                "source": row["origin"],
                "license": row["license"],
                "name": row["name"],
            }
            for row in self._folder.documents()
            if row["id"] in ids
        }


def _open_index(folder: VersionFolder, home: Home) -> TrainIndex:
    store = ContentStore(home.content)
    key = str(folder.lineage().get("shards", ""))
    path = store.path(ShardSet.kind, key) if key else None
    if path is None or not path.is_dir():
        raise UserError(
            "--attribute: the training text of this version is not in this home any more (no"
            f" shards {key[:12] or 'are named in its lineage'} in {home.content});"
            " `lmcore run` with its sources and configuration prepares it again"
        )
    try:
        return train_index(store, ShardSet.open(path))
    except IntegrityError as error:
        raise UserError(f"--attribute: the training text cannot be read: {error}") from error
