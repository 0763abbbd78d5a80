"""The commands about a registered model: one object for programs, words for people."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from flows.home import environment
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.errors import UserError

METRIC = {"value": 1.5, "lower": 1.25, "upper": 1.75, "unit": "bits/byte", "n": 9}


@pytest.fixture
def ask(
    registry: Registry,
    register: Callable[..., Version],
    assemble_in: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Result]:
    """A command on a home with a version that passed, and one that did not."""
    monkeypatch.setattr(environment, "_prepared", registry.home)
    register(metrics={"val_bits_per_byte": METRIC})
    refused = assemble_in(tmp_path, "refused", seed=1)
    register(refused, run_key="other", passed=False, verdict="champion said FAIL")
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def test_a_model_from_its_first_champion_to_a_decision_of_a_person(
    ask: Callable[..., Result],
) -> None:
    # The steps of one story, in their order: each needs the one before.
    def answer(*arguments: str, code: int = 0) -> Any:
        done = ask(*arguments, "--json")
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    assert answer("promote", "v1", "--reason", "first")["champion"] == 1
    shown = ask("status").stdout.splitlines()
    assert shown[0] == "speeches (language_modelling)"
    assert "  champion    version 1" in shown
    assert "  validation  1.500 [1.250, 1.750] bits/byte" in shown

    refusal = ask("promote", "2", "--reason", "I like it")
    assert refusal.exit_code == 3
    assert "Version 2 of speeches was not promoted: champion said FAIL." in refusal.stdout
    refused = answer("promote", "2", "--reason", "I like it", code=3)
    assert (refused["promoted"], refused["champion"], refused["previous"]) == (False, 1, None)
    assert isinstance(ask("promote", "2", "--reason", " ").exception, UserError)

    moved = answer("promote", "2", "--reason", "I like it", "--override")
    assert (moved["promoted"], moved["champion"], moved["previous"]) == (True, 2, 1)
    (model,) = answer("status")["models"]
    assert (model["champion"], model["previous"], model["metrics"]) == (2, 1, {})
    rows = [line.split()[:3] for line in ask("versions").stdout.splitlines()]
    assert rows[0] == ["version", "outcome", "aliases"]
    assert [row[0] for row in rows[1:]] == ["2", "1"]

    back = ask("rollback", "--reason", "it swore")
    assert back.stdout == "Version 1 of speeches is the champion again.\n"
    events = answer("history", "--model", "speeches")["events"]
    assert [e["action"] for e in events] == ["promote", "override", "rollback"]
    table = ask("history").stdout.splitlines()
    assert table[-1].endswith("it swore")

    told = answer("prune", "--keep", "1", "--dry-run")
    assert told["model"] is None
    assert "would be deleted" in ask("prune", "--keep", "1", "--dry-run").stdout
    lineage = answer("lineage", "champion", "--documents", "5")
    assert [row["license"] for row in lineage["licenses"]] == ["CC0-1.0"]
    assert [row["name"] for row in lineage["list"]] == ["1801.txt"]
    assert "licenses" not in ask("lineage", "1").stdout
    assert answer("seen", "a" * 64)["seen"] is True
    assert "was trained on it" in ask("seen", "a" * 64).stdout
