"""The model that a candidate began with, before it learnt anything, on the same documents.

It stays what it is, so each document is scored once, whatever is made of it and whichever others
are asked for: in comes a candidate, out comes a table that is kept in the store under the hash of
what the candidate began with, and scores of earlier tables are taken over.  (A score depends on the
documents that are read beside it by rounding alone, a relative 1e-5 at most.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from lmcore.content_store import ContentStore, Handle
from lmcore.digests import code_digest, digest
from lmcore.errors import IntegrityError
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.measured import rows_of
from lmcore.manifest import Manifest
from lmcore.model.factory import untouched
from lmcore.model.language_model import LanguageModel

_TABLE = "scores.parquet"
_CODE = ("lmcore.evaluation.scores.scoring", "lmcore.evaluation.scores.table", "lmcore.model")


class UntouchedScores(Handle):
    """Scores of a model that others began with. Summary: documents, scored (not known before)."""

    kind: ClassVar[str] = "untouched"

    def scores(self) -> ScoreTable:
        """By document."""
        return ScoreTable.from_parquet(self.path / _TABLE)


def score_untouched(
    store: ContentStore,
    candidate: LanguageModel,
    *,
    beside: ScoreTable,
    of: Mapping[str, str],
    score: Callable[[LanguageModel, frozenset[str]], ScoreTable],
) -> ScoreTable | None:
    """Score what a candidate began with; None where that is random weights.

    Args:
        store: Where the table is kept, and earlier ones are looked for.
        candidate: What is judged.
        beside: Scores of the candidate; those of the same documents come out, in its order.
        of: Keys of `documents` and of the `tokenizer`.
        score: Scores a model on the documents of these ids.
    """
    if candidate.began_with is None:
        return None
    reader = digest([candidate.began_with, of["tokenizer"], code_digest(*_CODE)])
    ids = frozenset(map(str, beside.id))
    inputs = {
        # Of the set of documents, so that the table is kept as long as a version names these.
        "of": dict(of),
        "documents": digest(sorted(ids)),
        "reader": reader,
    }

    def make(folder: Path) -> Mapping[str, Any]:
        known = _scored_before(store, reader, ids)
        missing = ids - frozenset(known.id)
        tables = [known]
        if missing:
            model = untouched(candidate)
            assert model is not None
            tables.append(score(model.to(candidate.device), missing))
        ScoreTable.joined(tables).to_parquet(folder / _TABLE)
        return {"documents": len(ids), "scored": len(missing)}

    found = store.build(UntouchedScores, inputs, make).scores()
    # Another set may know a document by another name and among other near-copies.
    rows = rows_of(beside.id, found.id)
    return replace(beside, num_tokens=found.num_tokens[rows], nll_nats=found.nll_nats[rows])


def _scored_before(store: ContentStore, reader: str, ids: frozenset[str]) -> ScoreTable:
    """Rows of earlier tables of the same reader; empty where there are none."""
    found = ScoreTable.joined([])
    for folder in sorted((store.root / UntouchedScores.kind).glob("[!.]*")):
        try:
            if Manifest.read(folder).inputs.get("reader") != reader:
                continue
            table = UntouchedScores.open(folder).scores()
        except IntegrityError:
            continue  # whoever asks for that folder is told what is wrong with it
        new = table.isin(ids) & ~table.isin(frozenset(found.id))
        found = ScoreTable.joined([found, table.select(new)])
    return found
