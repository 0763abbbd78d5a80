"""Which held-out documents a language model is scored on.

In: the documents, the champion, the cap of the limits and the plan of a budget.  Out: ids.  Where
there is more than the cap, a fixed sample is taken; beside it then stand samples of fresh and of
anchor documents, which would be rare in it.  A budget takes the first of each in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lmcore.data.documents import Document, DocumentSet
from lmcore.evaluation.baselines.baselines import validation_order
from lmcore.evaluation.budget.plan import EvaluationPlan
from lmcore.evaluation.inputs import ChampionInput
from lmcore.evaluation.statistics.sampling import sampled_ids


@dataclass(frozen=True, kw_only=True)
class ChosenDocuments:
    """Ids of held-out documents.

    Attributes:
        uniform: Metrics are over these.
        scored: All that are scored: beside them, further ones for the champion gate.
        configured: Metrics would be over these without a budget.
        configured_bytes: Size of the latter.
        limited: Whether a budget was shared.
    """

    uniform: frozenset[str]
    scored: frozenset[str]
    configured: frozenset[str]
    configured_bytes: int
    limited: bool


def chosen_documents(
    documents: DocumentSet,
    *,
    champion: ChampionInput | None,
    max_bytes: int,
    plan: EvaluationPlan,
) -> ChosenDocuments:
    """Choose them.

    Args:
        documents: Of this run.
        champion: The model in use; None: there is none.
        max_bytes: Of the sample; further fresh and further anchor ones may have a quarter each.
        plan: How many of each a budget leaves.
    """
    order = validation_order(documents, max_bytes=max_bytes)
    most = plan.limit("validation_documents")
    uniform = frozenset(identity for identity, _ in order[:most])
    extra: list[frozenset[str]] = []
    if champion is not None and len(order) < documents.count("validation"):
        known, rows = champion.known_ids, documents.iter_rows
        fresh = (row for row in rows("validation") if row["id"] not in known)
        anchor = (row for row in rows("validation") if row["anchor"] and row["id"] in known)
        extra = [
            sampled_ids(part, max_bytes=max_bytes // 4, purpose="extra", most=plan.limit(name))
            for part, name in ((fresh, "fresh_documents"), (anchor, "anchor_documents"))
        ]
    return ChosenDocuments(
        uniform=uniform,
        scored=uniform.union(*extra),
        configured=frozenset(identity for identity, _ in order),
        configured_bytes=sum(size for _, size in order),
        limited=most is not None,
    )


def held_out(documents: DocumentSet, ids: frozenset[str]) -> Iterator[Document]:
    """Stream the held-out documents of these ids."""
    return (d for d in documents.iter_documents("validation") if d.id in ids)
