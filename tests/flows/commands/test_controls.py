"""`lmcore controls` on controls that cost nothing, and on one gate as it is."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.commands import controls as module
from flows.home.signals import StoppedError, polite_signals
from lmcore.controls import catalogue
from lmcore.controls.control import Control, by_seed
from lmcore.errors import UserError
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.gates.standing import Counted


def says(outcome: Any, *, then: Callable[[], Any] = lambda: None) -> Callable[[int], GateResult]:
    """What a gate answers of a case; its statistic grows with the seed."""

    def case(seed: int) -> GateResult:
        then()
        return GateResult(
            gate="champion",
            required=True,
            outcome=outcome,
            reason="a test",
            value=seed / 4,
            limit=0.5,
            unit="bits/byte",
        )

    return case


def control(name: str, case: Callable[[int], GateResult], kind: Any = "negative") -> Control:
    return Control(gate="champion", name=name, kind=kind, run=by_seed(case))


@pytest.fixture
def try_with(empty_shell: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command line where these are all the controls."""

    def use(*rows: Control) -> Any:
        monkeypatch.setattr(catalogue, "CONTROLS", rows)
        return empty_shell

    return use


ONE = ("controls", "--processes", "1")


def test_every_control_is_counted_and_its_gate_judged(try_with: Callable[..., Any]) -> None:
    shell = try_with(control("noise", says("FAIL")), control("sound", says("PASS"), "healthy"))
    answer = shell.answer(*ONE, "--seeds", "3")
    noise, sound = answer["controls"]
    assert (noise["control"], noise["kind"], noise["gate"]) == ("noise", "negative", "champion")
    assert [row["as_expected"] for row in (noise, sound)] == [3, 3]
    assert (noise["outcomes"], sound["outcomes"]) == ({"FAIL": 3}, {"PASS": 3})
    assert (noise["values"], noise["limit"], noise["missed"]) == ([0.0, 0.25, 0.5], 0.5, False)
    # With no miss in n, the exact bound of 95 % of the right share is 0.05 to the power of 1 / n.
    assert noise["right"]["lower"] == pytest.approx(0.05 ** (1 / 3))
    (gate,) = answer["gates"]
    assert (gate["gate"], gate["status"]) == ("champion", "vouched")
    header, first, second, _, verdict = shell.lines(*ONE, "--seeds", "3")
    assert header.split() == [
        *("gate", "kind", "control", "right", "95", "%", "outcomes", "statistic", "limit"),
    ]
    assert " ".join(first.split()) == (
        "champion negative noise 3/3 ≥ 37% 3 FAIL 0 .. 0.25 .. 0.5 0.5 bits/byte"
    )
    assert second.split()[:3] == ["champion", "healthy", "sound"]
    assert verdict == "  champion caught every negative control"


def test_a_fault_that_was_let_through_is_exit_code_3(try_with: Callable[..., Any]) -> None:
    shell = try_with(control("noise", says("PASS")))
    done = shell.run(*ONE, "--seeds", "2")
    assert done.exit_code == 3
    assert "champion missed a negative control: it cannot vote PASS" in done.stdout
    assert "controls: champion said PASS of noise (negative), seed 1: a test" in done.stderr
    answer = shell.answer(*ONE, "--seeds", "2", code=3)
    assert answer["controls"][0]["missed"] is True
    assert answer["gates"][0]["status"] == "missed"


def test_a_false_alarm_is_counted_and_no_miss(try_with: Callable[..., Any]) -> None:
    shell = try_with(control("sound", says("FAIL"), "healthy"))
    answer = shell.answer(*ONE, "--seeds", "2")
    assert (answer["controls"][0]["as_expected"], answer["controls"][0]["missed"]) == (0, False)
    assert answer["gates"][0]["status"] == "not run"
    assert shell.lines(*ONE, "--seeds", "2")[-1] == "  champion has no negative control here"


def test_what_was_stopped_goes_on_with_the_same_command(try_with: Callable[..., Any]) -> None:
    ran: list[int] = []

    def count() -> None:
        ran.append(1)
        if len(ran) == 2:
            signal.raise_signal(signal.SIGINT)

    shell = try_with(control("noise", says("FAIL", then=count)))
    stopped = shell.refusal(*ONE, "--seeds", "4")
    assert isinstance(stopped, StoppedError)
    assert str(stopped) == (
        "stopped after 1 of 4 runs; they are kept, and the same command goes on"
    )
    assert shell.answer(*ONE, "--seeds", "4")["controls"][0]["seeds"] == 4
    # The one that was left was begun again.
    assert len(ran) == 5
    assert (shell.home.root / "controls" / "results").is_dir()
    with polite_signals():  # forgets that anything was asked
        pass


def test_one_gate_as_it_is(empty_shell: Any) -> None:
    answer = empty_shell.answer("controls", "--gate", "provenance", "--seeds", "1")
    assert {row["gate"] for row in answer["controls"]} == {"provenance"}
    assert {row["kind"] for row in answer["controls"]} == {"negative", "healthy"}
    assert [row["as_expected"] for row in answer["controls"]] == [1] * len(answer["controls"])
    assert [gate["status"] for gate in answer["gates"]] == ["vouched"]
    assert " cores, Python " in answer["machine"]


def test_what_cannot_be_tried_is_named(empty_shell: Any) -> None:
    refused = empty_shell.refusal("controls", "--gate", "taste")
    assert isinstance(refused, UserError)
    assert str(refused).startswith("--gate taste: no such gate has controls; expected one of ")
    for option in (("--gate", "champion"), ("--record",), ("--processes", "1")):
        done = empty_shell.run("controls", "--seed-noise", *option)
        assert done.exit_code == 2
        assert "'--seed-noise' goes with '--config' and '--seeds' alone." in done.stderr


def test_counts_are_recorded_for_the_installed_limits_alone(
    empty_shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text(
        "name: letters\nsources:\n  - {path: letters.txt, license: CC0-1.0}\n"
    )
    refused = empty_shell.refusal("controls", "--record", "--config", "c.yaml")
    assert str(refused) == "--record is for the installed limits; leave --config out"
    monkeypatch.setattr(module, "PROJECT", tmp_path)  # as where the package is installed
    refused = empty_shell.refusal("controls", "--record")
    assert "so it needs a checkout of the project; without one, leave it out" in str(refused)


def test_seed_noise_is_measured_on_at_least_two_seeds(empty_shell: Any) -> None:
    refused = empty_shell.refusal("controls", "--seed-noise", "--seeds", "1")
    assert str(refused) == "--seeds 1: a spread needs at least 2 trainings"


def test_a_control_without_a_statistic_has_none_to_show(
    capsys: pytest.CaptureFixture[str],
) -> None:
    counted = Counted(control="broken", kind="negative", seeds=1, as_expected=1)
    row = {"gate": "pii", "right": counted.rate.to_json(), **counted.to_json()}
    module._text({"controls": [row], "gates": [], "recorded": "docs/controls.md"})
    _, shown, _, recorded = capsys.readouterr().out.splitlines()
    assert shown.split() == ["pii", "negative", "broken", "1/1", "≥", "5%"]
    assert recorded == "  recorded in docs/controls.md"
