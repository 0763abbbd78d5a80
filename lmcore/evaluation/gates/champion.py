"""Gate `champion`: is the new model better than the one in use?

Statistic: the deciding metric of the challenger minus that of the champion (bits per byte,
accuracy, BLEU, ROUGE-L), paired by document, both measured in this run.  With m the margin of
gates.yaml, and better meaning what the metric says:

* enough validation documents that the champion has never met (*fresh*): superiority on those
  (surely better by more than m) and non-inferiority on the anchor documents it knew (surely not
  worse by m);
* otherwise: superiority on all of validation;
* where documents that the champion was trained on have been removed since: non-inferiority on
  the same documents.  The new model knows less and must go into use all the same, but it may not
  be worse by more than the margin.

Documents that the champion was trained on are left out: they would flatter it.  The first
version is SKIPPED (NO_BASELINE); a champion that cannot be measured is INCONCLUSIVE
(INCOMPARABLE).  An identical model is a tie, and a tie is not promoted.
Source: the margin against reuse of the held-out set is the Ladder, Blum and Hardt,
arXiv:1502.04585; beside it stand a sign-flip permutation test and, where answers are right or
wrong, McNemar's exact test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from lmcore.counted import counted, named
from lmcore.data.tokens.tokenizer import Tokenizer, load_tokenizer
from lmcore.errors import EmptyEvaluationError, IntegrityError, LmcoreError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.result import GateResult, Outcome, judge_gain, needs, worst
from lmcore.evaluation.inputs import ChampionInput
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.measured import AlignmentError, BoolArray, Measured
from lmcore.evaluation.statistics.metric import Metric
from lmcore.evaluation.statistics.power import Need, to_clear
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling
from lmcore.evaluation.unread import OF_CHAMPION, Unread
from lmcore.model.factory import load_model
from lmcore.model.language_model import LanguageModel

NAME = "champion"
Claim = Literal["superiority", "non-inferiority"]


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """The champion's side of the comparison.

    Attributes:
        version: Registry version.
        measured: What it is worth on the challenger's documents; None where it cannot be measured.
        problem: Why it cannot.
        train_ids: Documents that it was trained or tuned on.
        known_ids: All documents of the data that it was made from, whatever their split.
        removed: How many of the documents that it was trained or tuned on were removed since.
        unread: Held-out text that the model it began with cannot have met; None: random weights.
    """

    version: int
    measured: Measured | None
    problem: str = ""
    train_ids: AbstractSet[str] = frozenset()
    known_ids: AbstractSet[str] = frozenset()
    removed: int = 0
    unread: Unread | None = None


def measure_incumbent(
    given: ChampionInput | None, measure: Callable[[ChampionInput], Measured]
) -> Incumbent | None:
    """Measure the champion of today's documents; whatever is wrong with it stops nobody.

    Args:
        given: Its files; None where there is no champion yet.
        measure: What it is worth on the challenger's documents.
    """
    if given is None:
        return None
    found: Measured | None = None
    problem = given.problem
    if not problem:
        try:
            found = measure(given)
        except (LmcoreError, AssertionError) as error:
            problem = str(error)
    return Incumbent(
        version=given.version,
        measured=found,
        problem=problem,
        train_ids=given.train_ids,
        known_ids=given.known_ids,
        removed=given.removed,
    )


def scored_incumbent(
    given: ChampionInput | None,
    score: Callable[[LanguageModel, Tokenizer], ScoreTable],
    rows: Callable[[], Iterable[Mapping[str, Any]]] = tuple,
) -> tuple[Incumbent | None, ScoreTable | None]:
    """The champion among language models, scored now and with its own tokenizer.

    A number from another day is no comparison.

    Args:
        given: Its files; None where there is no champion yet.
        score: What a model says of the challenger's documents.
        rows: Of these documents, with their dates.

    Returns:
        Its side of the comparison, and its scores where there are any.
    """
    tables: list[ScoreTable] = []
    unread: list[Unread] = []

    def measure(version: ChampionInput) -> Measured:
        model, tokenizer = load_model(version.weights), load_tokenizer(version.tokenizer)
        if tokenizer.vocab_size != model.vocab_size:
            raise IntegrityError(f"{model.vocab_size} outputs, but {tokenizer.vocab_size} tokens")
        if model.began_with is not None:
            until = model.known_until
            unread.append(Unread.of(rows(), known_until=until, who=OF_CHAMPION))
        tables.append(score(model, tokenizer))
        return measured_bits(tables[0])

    found = measure_incumbent(given, measure)
    if found is not None and unread:
        found = replace(found, unread=unread[0])
    return found, tables[0] if tables else None


@dataclass(frozen=True, kw_only=True)
class Margin:
    """What the gate asks for.

    Attributes:
        least_gain: In units of the metric; also the loss that non-inferiority tolerates.
        min_fresh_documents: So many that the champion has never met are enough to judge on.
    """

    least_gain: float
    min_fresh_documents: int

    @classmethod
    def of(cls, gates: GatesConfig, metric: Metric) -> Margin:
        """As gates.yaml has it for a metric."""
        return cls(
            least_gain=gates.least_gain(metric.name),
            min_fresh_documents=gates.champion.min_fresh_documents,
        )


@dataclass(frozen=True, kw_only=True)
class _Test:
    name: str
    claim: Claim
    ours: Measured
    theirs: Measured
    difference: Interval
    margin: float
    chances: Mapping[str, float]

    @property
    def least(self) -> float:
        """The gain that has to be surely surpassed."""
        return self.margin if self.claim == "superiority" else -self.margin

    @property
    def limit(self) -> float:
        """The same in the direction of the metric."""
        return self.ours.metric.direction * self.least

    @property
    def outcome(self) -> Outcome:
        better = self.ours.metric.higher_is_better
        return judge_gain(self.difference if better else self.difference.negated(), self.least)

    @property
    def need(self) -> Need:
        """What would tell whether the claim holds."""
        parts = {"fresh documents": "fresh_documents", "anchor documents": "anchor_documents"}
        part = parts.get(self.name, "validation_documents")
        return to_clear(self.difference, self.limit, what=self.name, part=part)

    def to_json(self) -> dict[str, Any]:
        return {
            **self.difference.to_json(),
            "claim": self.claim,
            "limit": self.limit,
            "outcome": self.outcome,
            **self.chances,
        }

    def sentence(self) -> str:
        metric, found = self.ours.metric, self.difference
        more, less = ("more", "less") if metric.higher_is_better else ("less", "more")
        size = metric.shown(self.margin)
        wanted = (
            f"{size} {more} is asked for"
            if self.claim == "superiority"
            else f"up to {size} {less} is tolerated"
        )
        return (
            f"{self.ours.shown()} against {self.theirs.shown()} on {found.n} {self.name},"
            f" {metric.shown(found.value, sign='+')} (95 % bounds {metric.bounds(found)}; {wanted})"
        )


def champion(
    challenger: Measured,
    incumbent: Incumbent | None,
    *,
    anchor: BoolArray,
    margin: Margin,
    required: bool,
    resampling: Resampling = STANDARD,
) -> GateResult:
    """Compare challenger and champion.

    Args:
        challenger: The deciding metric of the new model on validation.
        incumbent: The champion's side; None where there is no champion yet.
        anchor: Which of the challenger's documents are in the frozen slice, shape [N].
        margin: How much better, and how many fresh documents are enough.
        required: Whether promotion needs this gate.
        resampling: Of the bootstrap.

    Raises:
        EmptyEvaluationError: If fewer than two documents are left, or values are not finite.
    """
    if incumbent is None:
        return GateResult(
            gate=NAME,
            required=required,
            outcome="SKIPPED",
            reason="NO_BASELINE: this is the first version, so there is no champion to beat.",
            evidence={"code": "NO_BASELINE"},
        )
    found, problem = incumbent.measured, incumbent.problem
    if found is not None:
        try:
            theirs = challenger.aligned(found)
        except AlignmentError as error:
            problem = f"the evaluation set changed under it: {error}"
        if not found.finite:
            problem = f"its scores are not finite: {found.metric.name} is {found.value}"
    if found is None or problem:
        return GateResult(
            gate=NAME,
            required=required,
            outcome="INCONCLUSIVE",
            reason=(
                f"INCOMPARABLE: champion version {incumbent.version} cannot be scored on today's"
                f" documents ({problem})."
            ),
            evidence={"code": "INCOMPARABLE", "champion": incumbent.version},
        )
    flattered = _members(challenger, incumbent.train_ids)
    fair, other = challenger.select(~flattered), theirs.select(~flattered)
    if len(fair) < 2:
        raise EmptyEvaluationError(
            f"champion version {incumbent.version} was trained on {int(flattered.sum())} of the"
            f" {counted(len(challenger), 'validation document')}, so too few are left to compare on"
        )
    known = _members(fair, incumbent.known_ids)
    fresh, anchor = ~known, anchor[~flattered] & known
    claim: Claim = "non-inferiority" if incumbent.removed else "superiority"

    def test(name: str, rows: BoolArray, claim: Claim) -> _Test:
        ours, theirs = fair.select(rows), other.select(rows)
        return _Test(
            name=name,
            claim=claim,
            ours=ours,
            theirs=theirs,
            difference=ours.minus(theirs, resampling=resampling),
            margin=margin.least_gain,
            chances=ours.chances(theirs, resampling=resampling),
        )

    if fair.clusters(fresh) >= margin.min_fresh_documents:
        tests = [test("fresh documents", fresh, claim)]
        if fair.clusters(anchor) >= 2:
            tests.append(test("anchor documents", anchor, "non-inferiority"))
    else:
        tests = [test("validation documents", np.ones(len(fair), dtype=np.bool_), claim)]
    outcome = worst([t.outcome for t in tests])
    decisive = next(t for t in tests if t.outcome == outcome)
    tie = fair.equals(other)
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=decisive.difference.value,
        lower=decisive.difference.lower,
        upper=decisive.difference.upper,
        limit=decisive.limit,
        unit=challenger.metric.unit,
        reason=_sentence(incumbent, tests=tests, tie=tie),
        evidence={
            "champion": incumbent.version,
            "metric": challenger.metric.name,
            "tie": tie,
            "removed_since_champion": incumbent.removed,
            "fresh_documents": int(fresh.sum()),
            "anchor_documents": int(anchor.sum()),
            "left_out_seen_by_champion": int(flattered.sum()),
            "tests": {t.name: t.to_json() for t in tests},
            **needs(decisive.need if outcome == "INCONCLUSIVE" else None),
        },
    )


def _members(measured: Measured, ids: AbstractSet[str]) -> BoolArray:
    return np.fromiter((i in ids for i in measured.id), dtype=np.bool_, count=len(measured))


def _sentence(incumbent: Incumbent, *, tests: list[_Test], tie: bool) -> str:
    if tie and not incumbent.removed:
        return (
            "A tie: every document is answered as well as by champion version"
            f" {incumbent.version}, and a tie does not replace it."
        )
    why = (
        f" ({counted(incumbent.removed, 'document')} that the champion learnt from"
        f" {named(incumbent.removed, 'was', 'were')} removed since, so not to be worse is enough)"
        if incumbent.removed
        else ""
    )
    return (
        f"{tests[0].ours.metric.heading} beside champion version {incumbent.version}:"
        f" {', and '.join(t.sentence() for t in tests)}{why}."
    )
