"""`lmcore reproduce`: rebuild a version, and say whether its weights are the same bits."""

from __future__ import annotations

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command

_DIFFERENT_EXIT = 3


@command(
    "lmcore reproduce champion",
    "lmcore reproduce 3 --model annual-messages --json",
    makes_home=False,
)
@options.version_argument()
@options.model
def reproduce(version: str, model: str | None) -> Answer:
    """Rebuild a version from its sources and compare the weights.

    It takes as long as the training took. The exit code is 3 where the weights are not the same
    bits.
    """
    from flows.commands.shared.models import settled
    from flows.commands.shared.reproduction import rebuild

    registry, name = settled(model)
    found = registry.version(name, version)
    folder = registry.read(found)
    rebuilt = rebuild(folder, registry=registry, model=name)
    identical = rebuilt.weights == folder.weights_sha256
    values = {
        "model": name,
        "version": found.number,
        "identical": identical,
        "weights": folder.weights_sha256,
        "rebuilt": rebuilt.weights,
        "mismatches": rebuilt.mismatches,
    }
    return Answer(values=values, text=_text, exit_code=0 if identical else _DIFFERENT_EXIT)


def _text(answer: Values) -> None:
    """Whether the bits are the same, and what differs."""
    name = f"{answer['model']} version {answer['version']}"
    if answer["identical"]:
        text.title(f"IDENTICAL: {name} was rebuilt bit for bit", "green")
    elif answer["rebuilt"]:
        text.title(f"DIFFERENT: {name} was rebuilt with other weights", "red")
    else:
        text.title(f"NOT REBUILT: {name} cannot be made again from here", "red")
    text.line(f"  weights  {answer['weights']}")
    text.line(f"  rebuilt  {answer['rebuilt'] or '-'}")
    for mismatch in answer["mismatches"]:
        text.line(f"  {text.one_line(mismatch, 400)}")
