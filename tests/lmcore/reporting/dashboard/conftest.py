"""Models with a long history, and one in which every text is hostile."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lmcore.reporting.dashboard.facts import (
    DriftEntry,
    EventEntry,
    LastRun,
    ModelHistory,
    PipelineData,
    RunEntry,
    VersionEntry,
)
from lmcore.reporting.estimates import Estimate
from lmcore.reporting.values import Fact
from lmcore.reporting.version.facts.gates import Gate


def changed(fact: Fact, **changes: object) -> Any:
    """The same fact with other values, read as they would be."""
    return type(fact)(**{**dict(fact), **changes})


GATES = (
    *("instrument", "provenance", "competence", "champion", "overfitting", "bias_lm"),
    *("data_sufficiency", "contamination", "regurgitation", "exposure", "pii"),
)


def _gates(number: int, *, promoted: bool) -> list[Gate]:
    gates = []
    for index, name in enumerate(GATES):
        outcome = "PASS"
        if name == "champion" and not promoted:
            outcome = "INCONCLUSIVE" if number % 2 else "FAIL"
        elif (number * 7 + index * 3) % 23 == 0:
            outcome = ("FAIL", "WARN", "INCONCLUSIVE", "SKIPPED")[number % 4]
        reason = f"The model of version {number} was tried by {name} and is what it is."
        gates.append(Gate(name=name, required=index < 6, outcome=outcome, reason=reason))
    return gates


@pytest.fixture(scope="session")
def history_of() -> Callable[..., ModelHistory]:
    """A model with so many versions, a week apart: every third is promoted, one rolled back."""

    def make(count: int, *, model: str = "annual-messages") -> ModelHistory:
        start = datetime(2026, 3, 2, 3, tzinfo=UTC) - timedelta(weeks=max(0, count - 5))
        versions, events, runs = [], [], []
        champion: int | None = None
        for number in range(1, count + 1):
            created = start + timedelta(weeks=number, minutes=number % 7)
            promoted = number % 3 == 1
            value = 1.38 + 0.35 * math.exp(-number / 60) + 0.012 * math.sin(number * 2.3)
            texts = 12_000_000 + 210_000 * number
            event = {"at": created, "who": "pipeline", "to_version": number}
            if promoted:
                reason = "every required gate passed and the champion was beaten on equal text"
                action = "override" if number % 19 == 0 else "promote"
                events.append(
                    EventEntry(**event, action=action, from_version=champion, reason=reason)
                )
                champion = number
            else:
                events.append(
                    EventEntry(
                        **event,
                        action="reject",
                        from_version=champion,
                        reason="gate champion: no difference between the two models is certain",
                    )
                )
            if number % 17 == 4 and champion and champion > 3:
                back = EventEntry(
                    at=created + timedelta(days=2),
                    action="rollback",
                    from_version=champion,
                    to_version=champion - 3,
                    who="ines",
                    reason="answers about budgets became wrong after the last import",
                )
                events.append(back)
                champion -= 3
            if number % 29 == 5:
                events.append(
                    EventEntry(
                        at=created + timedelta(days=3),
                        action="forget",
                        from_version=None,
                        to_version=None,
                        who="ines",
                        reason="the author asked for it",
                    )
                )
            train = 140.0 + 20 * math.sin(number)
            seconds = {"ingest": 3.1, "tokenize": 4.2, "train": train, "evaluate": 31.0}
            seconds |= {"register": 2.2, "promote": 0.4}
            versions.append(
                VersionEntry(
                    number=number,
                    created=created,
                    outcome="promoted" if promoted else "rejected" if number % 3 else "registered",
                    verdict="11 required gates passed"
                    if promoted
                    else "gate champion: INCONCLUSIVE",
                    metrics={
                        "val_bits_per_byte": Estimate(
                            value=value, lower=value - 0.03, upper=value + 0.032, unit="bits/byte"
                        ),
                        "anchor_bits_per_byte": Estimate(value=value + 0.02, unit="bits/byte"),
                    },
                    gates=_gates(number, promoted=promoted),
                    documents={
                        "documents": 249 + number,
                        "bytes": texts,
                        "licenses": {"CC-PDM-1.0": 12_000_000, "CC-BY-4.0": texts - 12_000_000},
                    },
                    seconds={**seconds, "total": train + 40.9},
                    core_seconds=(train + 40.9) * 1.8,
                    run_id=f"{number:032x}",
                    flow_run_id=f"00000000-0000-0000-0000-{number:012d}",
                )
            )
            runs.append(
                RunEntry(
                    run_id=f"{number:032x}",
                    experiment_id="1",
                    name=f"{model} {created:%Y-%m-%d %H:%M}",
                    state="FAILED" if number % 11 == 3 else "FINISHED",
                    started=created - timedelta(seconds=181),
                    ended=created,
                    outcome=versions[-1].outcome,
                    version=str(number),
                    flow_run_id=versions[-1].flow_run_id,
                )
            )
        versions = [
            changed(v, aliases=("champion",)) if v.number == champion else v for v in versions
        ]
        return ModelHistory(
            model=model,
            schedule="0 3 * * 1 (UTC)" if count else None,
            last_run=LastRun(outcome="skipped", at=datetime(2026, 4, 13, 3, tzinfo=UTC))
            if count
            else None,
            versions=versions,
            events=events,
            runs=runs[::-1][:20],
        )

    return make


@pytest.fixture(scope="session")
def page_of() -> Callable[..., PipelineData]:
    """A page of some models, as of a fixed moment."""

    def make(*models: ModelHistory, **changes: object) -> PipelineData:
        created = datetime(2026, 4, 14, 9, 30, tzinfo=UTC)
        return PipelineData(created=created, models=models, **changes)

    return make


@pytest.fixture
def hostile_history(
    history_of: Callable[..., ModelHistory], attacks: Sequence[str]
) -> ModelHistory:
    """A model in which every text is an attack, and some are very long."""
    history = history_of(len(attacks))
    long = "<b>" + "x" * 10_000
    versions = [
        changed(
            version,
            verdict=attack,
            outcome=attack,
            quarantined=long,
            aliases=(attack,),
            gates=[{"gate": attack, "outcome": attack, "reason": long}, {"gate": 3}, 3],
            documents={
                "documents": 3,
                "bytes": 10,
                "licenses": {attack: 4, "y" * 300: 2, "bad": "x"},
            },
            seconds={attack: 3.0, "total": 3.0},
            metrics={"val_bits_per_byte": {"value": 1.4, "lower": "x", "unit": attack}, attack: 3},
            flow_run_id=attack,
        )
        for version, attack in zip(history.versions, attacks, strict=True)
    ]
    return changed(
        history,
        model=" ".join(attacks),
        task=attacks[0],
        schedule=attacks[4],
        last_run={"outcome": attacks[2], "at": attacks[3], "reason": long},
        versions=versions,
        events=[
            changed(e, who=a, reason=a + long)
            for e, a in zip(history.events, attacks * 2, strict=False)
        ],
        runs=[
            changed(r, name=a, state=a, outcome=a, version=a, flow_run_id=a, experiment_id=a)
            for r, a in zip(history.runs, attacks, strict=False)
        ],
        drift=[
            DriftEntry(at=e.at, difference=Estimate(value=1.0), outcome=a, sentence=a)
            for e, a in zip(history.events, attacks, strict=False)
        ],
    )
