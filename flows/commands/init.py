"""`lmcore init`: a commented configuration for a user's own text.

It says what was found, guesses what can be guessed and says so, asks where a person is there to be
asked, and leaves to a person what only a person can know: the licence.  What it writes is read once
as a run would read it, so that a run does not refuse it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from flows.commands.shared.init_config import Proposal, render
from flows.printable import clean
from flows.progress.screen import hidden
from lmcore.counted import counted
from lmcore.errors import ConfigError, SourceError
from lmcore.tasks.task import TASKS

if TYPE_CHECKING:
    from flows.home.environment import Home
    from lmcore.config import RunConfig
    from lmcore.data.ingest.preview import Preview
    from lmcore.data.sources.choices import Ask, Wishes
    from lmcore.data.sources.survey import Survey

#: More than this is not read to the end before the configuration is written.
LOOK_BYTES = 64 << 20
_SAMPLE_CHARACTERS = 300


@command(
    "lmcore init path/to/texts --out my.yaml",
    "lmcore init reviews.csv --license CC-BY-4.0 --name reviews",
    "lmcore init path/to/texts --pretrained path/to/model",
    "lmcore init reviews.csv --task sentiment --text-field review --target-field stars",
    makes_home=False,
)
@click.argument("place", metavar="FOLDER_OR_FILE", type=options.PATH)
@click.option(
    "--out",
    type=options.PATH,
    default=Path("lmcore.yaml"),
    metavar="FILE",
    help="Configuration to write.",
)
@click.option("--license", "license_", metavar="SPDX", help="Licence of the text.")
@click.option("--name", metavar="NAME", help="Name of the model; without it that of the folder.")
@click.option("--task", type=click.Choice(list(TASKS)), help="What is to be made of the text.")
@click.option("--text-field", metavar="COLUMN", help="Column of the text, or a path into it.")
@click.option("--target-field", metavar="COLUMN", help="Column of label, translation or summary.")
@click.option(
    "--pretrained",
    metavar="PLACE",
    help="Model to start from: a folder, a GGUF file, package:NAME or owner/name@REVISION.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init(
    place: Path,
    out: Path,
    license_: str | None,
    name: str | None,
    pretrained: str | None,
    force: bool,
    **wishes: Any,
) -> Answer:
    """Write a configuration for your own text.

    It says what was found, and leaves to you what only a person can know.
    """
    from flows.home.environment import current
    from lmcore.data.sources.choices import Wishes

    home = current()
    values = write_config(
        home.resolve(place),
        out=home.resolve(out),
        license_=license_,
        name=name,
        pretrained=_place(pretrained, home),
        replace=force,
        wishes=Wishes(**wishes, ask=_somebody()),
    )
    return Answer(values=values, text=_text)


def _place(pretrained: str | None, home: Home) -> str | None:
    """Where a model is: absolute if it is a file or folder here, else as it was given."""
    if pretrained is None:
        return None
    path = home.resolve(pretrained)
    return str(path) if path.exists() else pretrained


def _somebody() -> Ask | None:
    """Asks whoever sits at the terminal; None where nobody does."""
    context = click.get_current_context(silent=True)
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        return None
    if context is not None and context.params.get("as_json"):
        return None

    def ask(question: str, choices: Sequence[str], usual: str) -> str:
        shown = {clean(choice): choice for choice in choices}
        with hidden():
            answer: str = click.prompt(
                clean(question),
                type=click.Choice(list(shown)),
                default=clean(usual),
                err=True,
            )
        return shown[answer]

    return ask


def _text(answer: Values) -> None:
    text.line(f"Wrote {answer['config']}")
    for sentence in answer["found"]:
        text.line(f"  {sentence}")
    for sample in answer["samples"][:1]:
        beginning = sample["text"][:_SAMPLE_CHARACTERS]
        text.line(f"  {sample['name']} begins: {text.one_line(beginning, _SAMPLE_CHARACTERS)}")
    text.line()
    text.line(f"  lmcore run --config {answer['config']} --dry-run")
    text.line(f"  lmcore run --config {answer['config']}")


def write_config(
    place: Path,
    *,
    out: Path,
    license_: str | None,
    name: str | None,
    pretrained: str | None = None,
    replace: bool,
    wishes: Wishes | None = None,
) -> dict[str, Any]:
    """Survey a file or folder and write a configuration that `lmcore run --config` accepts.

    Returns:
        `config` (path), `name`, `task`, `found` (sentences), `sources`, `left_out`, `unread`,
        `documents`, `languages` and `samples`; the last three are None or empty where there is too
        much text to be read now.

    Raises:
        UserError: If there is no text, a run would refuse it, or the file exists and `replace` is
            false.
    """
    from flows.home.access import as_the_user
    from lmcore.data.sources.survey import survey
    from lmcore.data.text.licences import normal_license
    from lmcore.durable import atomic_write

    if license_ is not None:
        license_ = normal_license(license_, key="--license")
    target = out.absolute()
    if target.exists() and not replace:
        raise ConfigError(f"{target}: exists already; choose another --out or add --force")
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder; make it first or choose another --out")
    found = survey(place, wishes=wishes)
    tasks = {finding.task for finding in found.findings}
    task = tasks.pop() if len(tasks) == 1 else "language_modelling"
    proposal = Proposal(
        findings=found.findings,
        task=task,
        model=name or _model_name(found.place),
        license=license_,
        origin=found.place.name,
        pretrained=pretrained,
    )
    previous = target.read_bytes() if target.exists() else None
    try:
        with as_the_user():
            atomic_write(target, render(proposal, target=target))
    except OSError as error:
        raise ConfigError(
            f"--out {target}: cannot be written ({error.strerror}); choose another"
        ) from error
    try:
        seen = _read(target, num_bytes=sum(finding.num_bytes for finding in found.findings))
    except BaseException:
        # What is wrong must not cost the user an earlier file, nor leave a wrong one.
        with as_the_user():
            target.unlink() if previous is None else atomic_write(target, previous)
        raise
    return {
        "config": str(target),
        "name": proposal.model,
        "task": task,
        "found": _sentences(found, seen, license_),
        "sources": [_told(finding) for finding in found.findings],
        "left_out": [{"file": left.file, "reason": left.reason} for left in found.left_out],
        "unread": [{"file": file, "reason": reason} for file, reason in found.unread],
        "documents": seen.documents if seen else None,
        "languages": seen.languages.get("texts", {}) if seen else {},
        "samples": [vars(sample) for sample in seen.samples] if seen else [],
    }


def _read(target: Path, *, num_bytes: int) -> Preview | None:
    """Read what was written as a run would; None where that is too much.

    Raises:
        UserError: If a run would refuse it.
    """
    from lmcore.config_file import load_config
    from lmcore.data.ingest.preview import preview

    config: RunConfig = load_config(target)
    if num_bytes > LOOK_BYTES:
        return None
    seen = preview(config.sources, data=config.data, num_samples=3)
    if seen.stops:
        raise SourceError(f"a run would stop, so no configuration is written: {seen.stops[0]}")
    return seen


def _told(finding: Any) -> dict[str, Any]:
    config = finding.config
    return {
        "path": config.path,
        "files": config.files,
        "format": finding.format,
        "encoding": config.encoding,
        "delimiter": config.delimiter,
        "num_files": finding.num_files,
        "bytes": finding.num_bytes,
        "text_field": config.text_field if finding.columns else None,
        "target_field": config.target_field,
        "columns": list(finding.columns),
    }


def _model_name(place: Path) -> str:
    stem = place.stem if place.is_file() else place.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-._")[:60] or "my-text"


def _sentences(found: Survey, seen: Preview | None, license_: str | None) -> list[str]:
    sentences = []
    for finding in found.findings:
        config = finding.config
        kind = f"{finding.num_files:,} {finding.format} file{'s' * (finding.num_files != 1)}"
        where = f" ({config.files})" if config.files else ""
        sentence = f"{kind}{where}, {text.size(finding.num_bytes)}"
        if finding.columns:
            columns = ", ".join(finding.columns)
            sentence += f"; columns {columns}; text is in {config.text_field!r}"
        if config.target_field is not None:
            sentence += f", {finding.task} from {config.target_field!r}"
        sentences += [sentence, *finding.guesses]
    sentences += _of_the_rest(found)
    if seen is None:
        sentences.append("not read to the end; lmcore run --dry-run does that")
    else:
        spoken = ", ".join(f"{code} {n['documents']:,}" for code, n in _first(seen.languages))
        written = Counter(file.encoding for file in seen.files if file.encoding)
        encodings = ", ".join(f"{name} {count:,}" for name, count in written.most_common(5))
        looked_at = seen.languages.get("looked_at", seen.documents)
        of = f" of {looked_at:,} that were looked at" if looked_at < seen.documents else ""
        sentences.append(
            f"{counted(seen.documents, 'document')}; languages{of}: {spoken or 'not told'};"
            f" encodings of the files: {encodings or 'their own'}"
        )
        sentences += seen.languages.get("remarks", [])
        sentences += [f"{bad.file}: set aside, {bad.reason}" for bad in seen.set_aside[:5]]
    if license_ is None:
        about = [left.file for left in found.left_out if left.reason == "about the data"]
        hint = f"; {about[0]} may say" if about else ""
        sentences.append(
            f"nobody has stated the licence of this text{hint}: the config says so and allows it"
            " for your own use. Name it before you share a model."
        )
    return sentences


def _first(languages: dict[str, Any]) -> list[tuple[str, Any]]:
    return list(languages.get("texts", {}).items())[:5]


def _of_the_rest(found: Survey) -> list[str]:
    sentences = []
    if found.left_out:
        names = ", ".join(left.file for left in found.left_out[:3])
        sentences.append(f"left out: {counted(len(found.left_out), 'file')} ({names} ...)")
    if found.unread:
        name, reason = found.unread[0]
        sentences.append(f"not read: {counted(len(found.unread), 'file')} ({name}: {reason} ...)")
    return sentences
