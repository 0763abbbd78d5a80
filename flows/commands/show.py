"""`lmcore show`: one version, with its metrics, gates, lineage, and where its page and card lie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from flows.commands.shared.reading_along import read_beside, sentence
from flows.commands.shared.unrecorded import described
from lmcore.counted import counted

if TYPE_CHECKING:
    from lmcore.version_folder import VersionFolder


@command("lmcore show champion", "lmcore show 3 --model annual-messages --json", makes_home=False)
@options.version_argument()
@options.model
def show(version: str, model: str | None) -> Answer:
    """Show metrics, gates, lineage and card of one version."""
    from flows.commands.shared.models import settled
    from flows.commands.shared.unrecorded import pretrained_facts
    from lmcore.evaluation.gates.next_step import next_step

    registry, name = settled(model)
    found = registry.version(name, version)
    folder = registry.read(found, whole=False)
    values = {
        "model": name,
        **found.to_json(),
        "reason": found.verdict,
        "gates": [{**gate, "next_step": next_step(gate)} for gate in _gates(folder)],
        "fingerprints": dict(found.fingerprints),
        "pretrained": pretrained_facts(registry, found, folder.lineage()),
        "lineage": {
            **folder.lineage(),
            "sources": [
                {key: source.get(key) for key in ("license", "origin", "documents", "bytes")}
                for source in folder.sources()
            ],
        },
        "shadow": read_beside(registry.home, found),
        "mlflow_run_id": found.run_id,
        "prefect_flow_run_id": found.flow_run_id,
        "report": str(folder.report),
        "card": str(folder.path / "README.md"),
    }
    return Answer(values=values, text=_text)


def _gates(folder: VersionFolder) -> list[dict[str, Any]]:
    found = json.loads((folder.evaluation / "gates.json").read_text(encoding="utf-8"))
    return [gate for gate in found if isinstance(gate, dict)]


def _text(answer: Values) -> None:
    aliases = f" ({', '.join(answer['aliases'])})" if answer["aliases"] else ""
    text.title(f"{answer['model']} version {answer['version']}{aliases}")
    text.line(f"  {answer['outcome']}: {answer['reason']}")
    text.line()
    text.gates(answer["gates"])
    text.line()
    text.table(
        [
            (name, text.interval(metric), metric.get("n", "-"))
            for name, metric in answer["metrics"].items()
        ],
        ("metric", "value [95 % bounds]", "n"),
    )
    text.line()
    if answer["shadow"]:
        text.line("as it read along, beside who answered")
        for one in answer["shadow"]:
            text.line(f"  {sentence(one)}")
        text.line()
    text.line("sources")
    for source in answer["lineage"]["sources"]:
        text.line(
            f"  {counted(source['documents'], 'document')}, {source['bytes']:,} bytes, licence "
            f"{source['license']}: {text.one_line(source['origin'])}"
        )
    if answer["pretrained"]:
        text.line("pretrained model")
        for line in described(answer["pretrained"]):
            text.line(f"  {line}")
    text.line()
    for name, value in answer["fingerprints"].items():
        text.line(f"  {name:<10} {value or '-'}")
    text.line(f"  {'report':<10} {answer['report']}")
    text.line(f"  {'card':<10} {answer['card']}")
