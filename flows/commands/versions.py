"""`lmcore versions`: all versions of a model, newest first."""

from __future__ import annotations

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command


@command("lmcore versions --model annual-messages", makes_home=False)
@options.model
def versions(model: str | None) -> Answer:
    """List the versions of a model."""
    from flows.commands.shared.models import settled

    registry, name = settled(model)
    found = [version.to_json() for version in registry.versions(name)]
    return Answer(values={"model": name, "versions": found[::-1]}, text=_text)


def _text(answer: Values) -> None:
    if not answer["versions"]:
        text.line("No version yet.")
        return
    rows = []
    for version in answer["versions"]:
        metrics = version["metrics"]
        headline = next((metrics[name] for name in text.HEADLINES if name in metrics), None)
        aliases = ", ".join(version["aliases"]) or "-"
        quality = text.interval(headline)
        rows.append((version["version"], version["outcome"], aliases, quality, version["created"]))
    text.table(rows, ("version", "outcome", "aliases", "validation", "created"))
