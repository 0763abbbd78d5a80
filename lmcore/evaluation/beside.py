"""Language models beside others: on which held-out text a claim rests, and what it cannot exclude.

In: what was scored.  Out: the answers of the gates `competence` and `champion`.  A model that began
with random weights is judged on all of the text; one that began with a model that exists on the
text that this one cannot have read, where there is enough of it (`lmcore.evaluation.unread`), and
else on all, which the answer then says.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.evidence import Evidence
from lmcore.evaluation.gates.champion import Margin
from lmcore.evaluation.gates.champion import champion as judge_champion
from lmcore.evaluation.gates.competence import beginning_bar, competence, ngram_bars
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, measured_bits
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.resampling import Resampling


def competence_beside(
    evidence: Evidence, gates: GatesConfig, required: bool, resampling: Resampling
) -> GateResult:
    """Gate `competence`: beside the n-grams and, where there is one, the untouched model."""
    ids, caveat = _fairly_judged(evidence, evidence.validation, gates)
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
    return _with(caveat, found)


def champion_beside(
    evidence: Evidence, gates: GatesConfig, required: bool, resampling: Resampling
) -> GateResult:
    """Gate `champion`: beside the model in use, whatever kind it is of."""
    ids, caveat = _fairly_judged(evidence, evidence.compared, gates)
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
    return found if found.outcome == "SKIPPED" else _with(caveat, found)


def _fairly_judged(
    evidence: Evidence, table: ScoreTable, gates: GatesConfig
) -> tuple[AbstractSet[str] | None, str]:
    """Documents that a claim should rest on, None being all, and a sentence about them."""
    if evidence.unread is None:
        return None, ""
    return evidence.unread.judged_on(table, least=gates.competence.min_later_documents)


def _with(caveat: str, found: GateResult) -> GateResult:
    return replace(found, reason=f"{found.reason} {caveat}") if caveat else found


def _on(table: ScoreTable, ids: AbstractSet[str] | None) -> ScoreTable:
    return table if ids is None else table.select(table.isin(ids))


def among(table: ScoreTable | None, others: ScoreTable) -> ScoreTable | None:
    """The rows of a table that are documents of another."""
    return None if table is None else table.select(table.isin(frozenset(map(str, others.id))))


def later_tables(evidence: Evidence) -> Mapping[str, ScoreTable]:
    """Scores on text that what the candidate began with cannot have read, by whose they are."""
    if evidence.unread is None:
        return {}
    found = {"val": evidence.compared, "untouched": evidence.untouched}
    return {
        name: evidence.unread.later(table) for name, table in found.items() if table is not None
    }
