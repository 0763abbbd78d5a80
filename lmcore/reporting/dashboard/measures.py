"""What monitoring asks of a pipeline, as Prometheus reads it.

In: the facts that the dashboard is drawn from.  Out: text of the exposition format.  Times are
stamps, so that whoever reads them computes an age at the time of reading; an outcome is a state of
several, of which one is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lmcore.reporting.dashboard.facts import ModelHistory, PipelineData
from lmcore.reporting.estimates import Estimate

RUN_OUTCOMES = ("promoted", "registered", "rejected", "skipped")
GATE_OUTCOMES = ("PASS", "FAIL", "INCONCLUSIVE", "WARN", "SKIPPED")
DRIFT_OUTCOMES = ("STABLE", "DRIFTED", "INCONCLUSIVE")
_BOUNDS = ("value", "lower", "upper")


def exposition(data: PipelineData) -> str:
    """The text of `/metrics`, and of a file for a node exporter's textfile collector."""
    registry = CollectorRegistry()
    registry.register(_Pipeline(data))
    return generate_latest(registry).decode("utf-8")


class _Pipeline(Collector):
    """Families of one moment.

    Args:
        data: Facts of all models.
    """

    def __init__(self, data: PipelineData) -> None:
        self._data = data

    def collect(self) -> Iterator[Metric]:
        """Called by the library."""
        models = self._data.models
        yield from _champions(models)
        yield from _runs(models)
        yield from _gates(models)
        yield from _metrics(models)
        yield from _costs(models)
        yield from _drift(models)
        read = GaugeMetricFamily(
            "lmcore_read_timestamp_seconds", "When the registry was read for these figures."
        )
        read.add_metric([], self._data.created.timestamp())
        yield read


def _champions(models: Sequence[ModelHistory]) -> Iterator[Metric]:
    version = _gauge("lmcore_champion_version", "Number of the version in use.")
    made = _gauge("lmcore_champion_created_timestamp_seconds", "When it was made.")
    moved = _gauge("lmcore_champion_since_timestamp_seconds", "When it was put into use.")
    count = _gauge("lmcore_versions", "Versions that are registered.")
    for model in models:
        count.add_metric([model.model], len(model.versions))
        if (champion := model.champion) is None:
            continue
        version.add_metric([model.model], champion.number)
        made.add_metric([model.model], champion.created.timestamp())
        moves = [
            event.at
            for event in model.events
            if event.moves_champion and event.to_version == champion.number
        ]
        if moves:
            moved.add_metric([model.model], moves[-1].timestamp())
    yield from (version, made, moved, count)


def _runs(models: Sequence[ModelHistory]) -> Iterator[Metric]:
    outcome = _gauge("lmcore_last_run_outcome", "What the last run came to.", "outcome")
    at = _gauge("lmcore_last_run_timestamp_seconds", "When the last run ended.")
    for model in models:
        if (last := model.last_run) is None:
            continue
        _states(outcome, [model.model], last.outcome, RUN_OUTCOMES)
        if last.at is not None:
            at.add_metric([model.model], last.at.timestamp())
    yield from (outcome, at)


def _gates(models: Sequence[ModelHistory]) -> Iterator[Metric]:
    outcome = _gauge(
        "lmcore_gate_outcome", "What the gates said of the newest version.", "gate", "outcome"
    )
    required = _gauge(
        "lmcore_gate_required", "Whether a version needs this gate's PASS to be promoted.", "gate"
    )
    for model in models:
        for gate in model.versions[-1].gates if model.versions else ():
            _states(outcome, [model.model, gate.name], gate.outcome, GATE_OUTCOMES)
            required.add_metric([model.model, gate.name], float(gate.required))
    yield from (outcome, required)


def _metrics(models: Sequence[ModelHistory]) -> Iterator[Metric]:
    found = _gauge(
        "lmcore_metric",
        "Metrics of the version in use and of the newest one, with one-sided 95 % bounds.",
        "version",
        "alias",
        "metric",
        "bound",
    )
    for model in models:
        shown = {v.number: v for v in (model.champion, *model.versions[-1:]) if v is not None}
        for version in shown.values():
            alias = "champion" if "champion" in version.aliases else ""
            for name, estimate in version.metrics.items():
                _bounds(found, [model.model, str(version.number), alias, name], estimate)
    yield found


def _costs(models: Sequence[ModelHistory]) -> Iterator[Metric]:
    seconds = _gauge("lmcore_step_seconds", "Wall clock of the newest version's steps.", "step")
    cores = _gauge("lmcore_run_core_seconds", "Processor time of the newest version's run.")
    for model in models:
        if not model.versions:
            continue
        newest = model.versions[-1]
        for step, value in newest.seconds.items():
            seconds.add_metric([model.model, step], value)
        if newest.core_seconds is not None:
            cores.add_metric([model.model], newest.core_seconds)
    yield from (seconds, cores)


def _drift(models: Sequence[ModelHistory]) -> Iterator[Metric]:
    outcome = _gauge("lmcore_drift_outcome", "What the last look at new text found.", "outcome")
    difference = _gauge(
        "lmcore_drift_bits_per_byte", "By how much new text is read worse.", "bound"
    )
    at = _gauge("lmcore_drift_timestamp_seconds", "When new text was looked at last.")
    for model in models:
        if not model.drift:
            continue
        last = model.drift[-1]
        _states(outcome, [model.model], last.outcome, DRIFT_OUTCOMES)
        _bounds(difference, [model.model], last.difference)
        at.add_metric([model.model], last.at.timestamp())
    yield from (outcome, difference, at)


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, labels=["model", *labels])


def _states(
    family: GaugeMetricFamily, labels: Sequence[str], state: str, states: Iterable[str]
) -> None:
    for one in states:
        family.add_metric([*labels, one], float(one == state))


def _bounds(family: GaugeMetricFamily, labels: Sequence[str], estimate: Estimate) -> None:
    for bound in _BOUNDS:
        value = getattr(estimate, bound)
        if value is not None:
            family.add_metric([*labels, bound], value)
