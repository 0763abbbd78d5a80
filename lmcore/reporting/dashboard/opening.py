"""What is said first of a model: which version is in use, the key figures, what it all cost."""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.counted import counted
from lmcore.reporting.dashboard.facts import ModelHistory, PipelineData, VersionEntry
from lmcore.reporting.dashboard.moments import moment
from lmcore.reporting.dashboard.rows import money
from lmcore.reporting.text import MISSING, duration, one_line
from lmcore.reporting.version.measures import label
from lmcore.reporting.version.verdicts import Tile


def sentence(history: ModelHistory) -> str:
    """Which version is in use, since when and by whom."""
    champion = history.champion
    if champion is None:
        if not history.versions:
            return "No version is registered yet."
        return "No version is in use: none has passed its gates and been promoted."
    moves = [e for e in history.events if e.moves_champion and e.to_version == champion.number]
    if not moves:
        return f"Version {champion.number} is in use."
    last = moves[-1]
    how = {
        "promote": "promoted",
        "rollback": "rolled back to",
        "override": "promoted by override although it failed its gates",
    }
    return (
        f"Version {champion.number} is in use since {moment(last.at)},"
        f" {how[last.action]} by {one_line(last.who, 60)}."
    )


def kind(history: ModelHistory) -> str:
    """How the version in use stands: one that failed its gates is no success."""
    if history.champion is None:
        return "idle"
    return "warn" if history.champion.outcome == "overridden" else "pass"


def tiles(history: ModelHistory, page: PipelineData) -> tuple[Tile, ...]:
    """The handful of numbers to read first."""
    champion, last, metric = history.champion, history.last_run, history.deciding
    known = champion.metrics.get(metric) if champion else None
    outcomes = [version.outcome for version in history.versions]
    found = [
        Tile.of(
            "Champion",
            f"version {champion.number}" if champion else "none",
            f"trained {moment(champion.created)}" if champion else "",
        )
    ]
    if known:
        found.append(Tile.of(label(metric), known.shown, known.shown_unit, known.bounds))
    found += [
        Tile.of(
            "Versions",
            f"{len(outcomes):,}",
            _counted(outcomes),
        ),
        Tile.of(
            "Last run",
            one_line(last.outcome, 40) if last else MISSING,
            moment(last.at) if last and last.at else "",
        ),
        Tile.of(
            "Schedule",
            one_line(history.schedule, 60) if history.schedule else "none",
            _upcoming(history),
        ),
    ]
    if totals := _totals(history.versions):
        price = page.price_per_hour
        cost = f" · cost {money(totals[-1], price)}" if price is not None else ""
        median = duration(sorted(totals)[len(totals) // 2])
        newest = history.versions[-1]
        named = "Newest version" if "total" in newest.seconds else "Newest timed version"
        found.append(Tile.of(f"{named} took", duration(totals[-1]), f"median {median}{cost}"))
    return tuple(found)


def overview(history: ModelHistory) -> tuple[str, ...]:
    """Champion, its result, versions, last run and schedule, for the table of models."""
    champion, last = history.champion, history.last_run
    known = champion.metrics.get(history.deciding) if champion else None
    at = moment(last.at) if last and last.at else MISSING
    return (
        f"version {champion.number}" if champion else "none",
        f"{known.shown} {known.shown_unit}".strip() if known else MISSING,
        f"{len(history.versions):,}",
        f"{one_line(last.outcome, 40)}, {at}" if last else MISSING,
        one_line(history.next_run or history.schedule or "none", 60),
    )


def _upcoming(history: ModelHistory) -> str:
    if not history.schedule:
        return "runs when somebody starts it"
    return f"next {history.next_run}" if history.next_run else ""


def _counted(outcomes: Sequence[str]) -> str:
    """Of all versions; what a person promoted although it had failed is no success."""
    by_override = outcomes.count("overridden")
    return ", ".join(
        (
            f"{outcomes.count('promoted'):,} promoted",
            *([f"{by_override:,} by override although it failed"] if by_override else []),
            f"{outcomes.count('rejected'):,} rejected",
        )
    )


def cost_sentence(versions: Sequence[VersionEntry], page: PipelineData) -> str:
    """What all versions took together; empty where it is not recorded."""
    totals = _totals(versions)
    if not totals:
        return ""
    cores = [v.core_seconds for v in versions if v.core_seconds is not None]
    text = f"{counted(len(totals), 'run')} took {duration(sum(totals))} together"
    if cores:
        text += f"; processors worked {duration(sum(cores))} in {len(cores):,} of them"
    if page.price_per_hour is not None:
        price = page.price_per_hour
        text += f". At {price:,.2f} an hour they cost {money(sum(totals), price)}"
    return f"{text}."


def _totals(versions: Sequence[VersionEntry]) -> list[float]:
    return [v.seconds["total"] for v in versions if "total" in v.seconds]
