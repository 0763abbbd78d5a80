"""`lmcore status`: which version of each model is in use, and how the last run ended."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.tasks.task import LANGUAGE_MODELLING

if TYPE_CHECKING:
    from flows.registry.models import Registry

_ALIASES = ("champion", "previous", "challenger")


@command("lmcore status", makes_home=False)
@options.any_model
def status(model: str | None) -> Answer:
    """Show which version of each model is in use, and the last run."""
    from flows.commands.shared.models import all_settled, nothing_yet
    from flows.home.environment import current
    from flows.progress.board import running

    registry, names = all_settled(model)
    jobs = [job for job in running(current().running) if model in (None, job.get("model"))]
    values = {"models": [_state(registry, name) for name in names], "running": jobs}
    return Answer(
        values=values, text=functools.partial(_text, otherwise=nothing_yet(registry.home))
    )


def _state(registry: Registry, name: str) -> dict[str, Any]:
    from flows.home.schedules import next_runs
    from flows.registry.last_run import last_run

    aliases = registry.aliases(name)
    champion = registry.version(name, "champion") if "champion" in aliases else None
    task_of = champion or registry.latest(name)
    last = last_run(registry, name)
    schedule = last.get("schedule") if last else None
    return {
        "model": name,
        "task": (task_of.task if task_of else None) or LANGUAGE_MODELLING.name,
        **{alias: aliases.get(alias) for alias in _ALIASES},
        "metrics": dict(champion.metrics) if champion else {},
        "last_run": {key: last[key] for key in ("outcome", "at", "reason")} if last else None,
        "schedule": schedule,
        "next_runs": next_runs(schedule, kept=registry.home.planned_runs),
    }


def _text(answer: Values, *, otherwise: str) -> None:
    """One block a model, or that there is none."""
    for job in answer["running"]:
        named = " ".join(part for part in (job["job"], job["model"]) if part)
        text.title(f"running: {named}", "cyan")
        text.line(f"  {text.one_line(job['sentence'], 200)}")
    if not answer["models"]:
        text.line(otherwise)
    for model in answer["models"]:
        text.title(f"{model['model']} ({model['task']})")
        for alias in _ALIASES:
            text.line(f"  {alias:<11} {'version ' + str(model[alias]) if model[alias] else '-'}")
        for name, title in text.HEADLINES.items():
            if metric := model["metrics"].get(name):
                text.line(f"  {title:<11} {text.interval(metric)}")
        if last := model["last_run"]:
            reason = text.one_line(last["reason"])
            text.line(f"  last run    {last['outcome']} at {last['at']}: {reason}")
        text.line(f"  schedule    {model['schedule'] or '-'}")
        _next_runs(model["next_runs"])


def _next_runs(times: list[str]) -> None:
    """A line a run; where clocks have changed since the one before, it says so."""
    before = None
    for number, time in enumerate(times):
        offset = datetime.fromisoformat(time).utcoffset()
        changed = "   clocks have changed" if before not in (None, offset) else ""
        text.line(f"  {'' if number else 'next runs':<11} {time}{changed}")
        before = offset
