"""The model that a candidate began with, before it learnt anything, on the same documents.

It stays what it is, so for the same documents it is scored once, whatever is made of it: in comes a
candidate, out comes a table that is kept in the store under the hash of what the candidate began
with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from lmcore.artifacts import ContentStore, Handle, code_digest, digest
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.model.factory import untouched
from lmcore.model.language_model import LanguageModel

_TABLE = "scores.parquet"
_CODE = ("lmcore.evaluation.scores.scoring", "lmcore.evaluation.scores.table", "lmcore.model")


class UntouchedScores(Handle):
    """Scores of a model that others began with. Summary: documents."""

    kind: ClassVar[str] = "untouched"

    def scores(self) -> ScoreTable:
        """By document."""
        return ScoreTable.from_parquet(self.path / _TABLE)


def score_untouched(
    store: ContentStore,
    candidate: LanguageModel,
    *,
    ids: frozenset[str],
    of: Mapping[str, str],
    score: Callable[[LanguageModel], ScoreTable],
) -> ScoreTable | None:
    """Score what a candidate began with; None where that is random weights.

    Args:
        store: Where the table is kept.
        candidate: What is judged.
        ids: Documents to score.
        of: Keys of the documents and of the tokenizer.
        score: Scores a model on these documents.
    """
    if candidate.began_with is None:
        return None
    inputs = {
        "model": candidate.began_with,
        "documents": digest(sorted(ids)),
        "of": dict(of),
        "code": code_digest(*_CODE),
    }

    def make(folder: Path) -> Mapping[str, Any]:
        model = untouched(candidate)
        assert model is not None
        table = score(model.to(candidate.device))
        table.to_parquet(folder / _TABLE)
        return {"documents": len(table)}

    return store.build(UntouchedScores, inputs, make).scores()
