"""Language models beside others: on which held-out text a claim rests, and what it cannot exclude.

In: what was scored.  Out: the answers of the gates `competence` and `champion`.  A model that began
with random weights is judged on all of the text; one that began with a model that exists on the
text that this one cannot have read, where there is enough of it (`lmcore.evaluation.unread`), and
else on all, which the answer then says.  Of candidate and champion either may have begun with one:
they meet on text that neither can have read.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Margin
from lmcore.evaluation.gates.champion import champion as judge_champion
from lmcore.evaluation.gates.competence import beginning_bar, competence, ngram_bars
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.gathered import Evidence
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, measured_bits
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.evaluation.unread import Rest, Unread


def competence_beside(
    evidence: Evidence, gates: GatesConfig, required: bool, resampling: Resampling
) -> GateResult:
    """Gate `competence`: beside the n-grams and, where there is one, the untouched model."""
    rest = _rest(evidence.unread, evidence.validation, gates)
    ids = rest.ids if rest else None
    own = _on(evidence.validation, ids)
    baselines = {order: _on(table, ids) for order, table in evidence.baselines.items()}
    untouched = None if evidence.untouched is None else among(evidence.untouched, own)
    found = competence(
        measured_bits(own),
        [
            *ngram_bars(baselines, order=gates.competence.baseline_order),
            *beginning_bar(untouched),
        ],
        least_gain=-gates.competence.max_difference_bits_per_byte,
        required=required,
        resampling=resampling,
    )
    return _with(rest, found)


def champion_beside(
    evidence: Evidence, gates: GatesConfig, required: bool, resampling: Resampling
) -> GateResult:
    """Gate `champion`: beside the model in use, whatever kind it is of."""
    rest = _rest(evidence.unread_by_either, evidence.compared, gates)
    ids = rest.ids if rest else None
    own, incumbent = _on(evidence.compared, ids), evidence.champion
    if ids is not None and incumbent is not None and incumbent.measured is not None:
        theirs = incumbent.measured
        incumbent = replace(incumbent, measured=theirs.select([str(i) in ids for i in theirs.id]))
    found = judge_champion(
        measured_bits(own),
        incumbent,
        anchor=own.anchor,
        margin=Margin.of(gates, BITS_PER_BYTE),
        required=required,
        resampling=resampling,
    )
    return found if found.outcome == "SKIPPED" else _with(rest, found)


def _rest(unread: Unread | None, table: ScoreTable, gates: GatesConfig) -> Rest | None:
    """Documents that a claim should rest on, and a sentence about them; None: all, and none."""
    if unread is None:
        return None
    return unread.judged_on(table, least=gates.competence.min_later_documents)


def _with(rest: Rest | None, found: GateResult) -> GateResult:
    if rest is None:
        return found
    return replace(
        found,
        reason=f"{found.reason} {rest.told}",
        evidence={**found.evidence, "unread": dict(rest.facts)},
    )


def _on(table: ScoreTable, ids: AbstractSet[str] | None) -> ScoreTable:
    return table if ids is None else table.select(table.isin(ids))


def among(table: ScoreTable | None, others: ScoreTable) -> ScoreTable | None:
    """The rows of a table that are documents of another."""
    return None if table is None else table.select(table.isin(frozenset(map(str, others.id))))


def shown_beside(evidence: Evidence) -> Mapping[str, ScoreTable]:
    """What is shown of a comparison in which a model began with one that exists, by metric.

    The untouched model and the champion, and everybody on text that no base can have read; all on
    the documents that metrics are over.
    """
    unread = evidence.unread or evidence.unread_by_either
    if unread is None:
        return {}
    others = {"untouched": evidence.untouched, "champion": evidence.champion_table}
    tables = {name: among(table, evidence.validation) for name, table in others.items()}
    beside = {name: table for name, table in tables.items() if table is not None}
    baselines = {f"baseline_kn{order}": table for order, table in evidence.baselines.items()}
    everybody = {"val": evidence.validation, **beside, **baselines}
    return {
        **{f"{name}_bits_per_byte": table for name, table in beside.items()},
        **{f"{name}_later_bits_per_byte": unread.later(t) for name, t in everybody.items()},
    }
