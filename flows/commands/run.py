"""`lmcore run`: the whole pipeline once, in this process."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.tasks.task import task_named

if TYPE_CHECKING:
    from flows.registry.run_result import RunResult

#: Metrics that are shown, where a run has them; the JSON answer has all.
_SHOWN = (
    *("val_bits_per_byte", "untouched_bits_per_byte", "baseline_kn6_bits_per_byte"),
    *("champion_bits_per_byte", "val_later_bits_per_byte", "untouched_later_bits_per_byte"),
    *("accuracy", "baseline_accuracy", "baseline_majority_accuracy", "champion_accuracy"),
    *("macro_f1", "baseline_macro_f1", "calibration_error"),
    *("bleu", "baseline_bleu", "champion_bleu", "chrf", "baseline_chrf"),
    *("rouge1", "baseline_rouge1", "baseline_lead1_rouge1", "baseline_lead3_rouge1"),
    *("rouge2", "baseline_rouge2", "baseline_lead1_rouge2", "baseline_lead3_rouge2"),
    *("rougeL", "baseline_rougeL", "baseline_lead1_rougeL", "baseline_lead3_rougeL"),
    *("champion_rougeL", "train_tokens_per_second", "params"),
)
_COLORS = {"promoted": "green", "registered": "green", "rejected": "red"}


@command(
    "lmcore run",
    "lmcore run --config my.yaml --set training.budget_seconds=30",
    "lmcore run --config my.yaml --dry-run",
    "lmcore run --config my.yaml --force --json",
)
@options.config
@options.overrides
@click.option("--force", is_flag=True, help="Train again although nothing is new.")
@options.dry_run
def run(config_file: Path | None, overrides: tuple[str, ...], force: bool, dry_run: bool) -> Answer:
    """Train, judge, register and, where every gate passes, promote.

    Nothing is trained where text and configuration are as they were. A run that was stopped goes
    on with the same command.
    """
    if dry_run:
        from flows.commands.shared.configuration import configuration
        from flows.commands.shared.dry_run import dry_run as look
        from flows.home.environment import current

        return look(configuration(config_file, overrides), current())
    from flows.commands.shared.configuration import answer_of_flow, configuration
    from flows.commands.shared.nothing_to_do import nothing_to_do
    from flows.home.environment import current
    from flows.registry.run_result import RunResult

    if not force:
        unchecked = configuration(config_file, overrides, check_schedule=False)
        found = nothing_to_do(unchecked, current())
        if found is not None:
            configuration(config_file, overrides)  # nor is a schedule answered that cannot be kept
            return _answer(found)
    result = answer_of_flow(_retrain, config_file, overrides, force=force)
    assert isinstance(result, RunResult)
    return _answer(result)


def _retrain() -> Any:
    from flows.pipeline import retrain

    return retrain


def _answer(result: RunResult) -> Answer:
    return Answer(
        values=result.to_json(),
        text=functools.partial(_text, report=result.report),
        exit_code=result.exit_code,
    )


def _text(answer: Values, *, report: str | None) -> None:
    """Outcome, gates, the metric that matters, and what to do next."""
    version = f" version {answer['version']}" if answer["version"] else ""
    outcome = answer["outcome"]
    text.title(f"{outcome.upper()}: {answer['model']}{version}", _COLORS.get(outcome))
    kept_back = [g for g in answer["gates"] if g["required"] and g["next_step"]]
    if kept_back:  # each says why below
        named = ", ".join(f"{gate['gate']} {gate['outcome']}" for gate in kept_back)
        text.line(f"  not promoted: {named}")
    else:
        text.line(f"  {answer['reason']}")
    if answer["gates"]:
        text.line()
        text.gates(answer["gates"])
    metrics, seconds = answer["metrics"], answer["seconds"]
    if metrics:
        text.line()
        for name in _SHOWN:
            if name in metrics:
                text.line(f"  {name:<28} {text.interval(metrics[name])}")
    if seconds:
        text.line()
        parts = ", ".join(f"{k} {v:.1f}" for k, v in seconds.items() if k != "total")
        text.line(f"  seconds: {parts}; total {seconds.get('total', sum(seconds.values())):.1f}")
    if report:
        text.line(f"  report: {report}")
    text.line()
    option = f" --model {answer['model']}"
    task = task_named(answer["task"])
    if answer["champion"] and task.is_language_model:
        text.line(f'  lmcore generate{option} --prompt "..."   continue a text')
    elif answer["champion"]:
        text.line(f'  lmcore predict{option} "..."   {task.verb} a text')
    if answer["version"]:
        text.line(f"  lmcore show {answer['version']}{option}   metrics, gates, lineage, report")
        text.line(f"  lmcore report {answer['version']}{option}   the same as a page, in a browser")
    text.line("  lmcore status   what is in use")
