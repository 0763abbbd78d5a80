"""`lmcore init`: a commented configuration for a user's own text.

It says what was found, guesses what can be guessed, and leaves to a person what only a
person can know: the licence.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.errors import ConfigError

if TYPE_CHECKING:
    from lmcore.data.sources.survey import Finding, Survey

_SMALL_BYTES = 300_000


@command(
    "lmcore init path/to/texts --out my.yaml",
    "lmcore init reviews.csv --license CC-BY-4.0 --name reviews",
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
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init(place: Path, out: Path, license_: str | None, name: str | None, force: bool) -> Answer:
    """Write a configuration for your own text.

    It says what was found, and leaves to you what only a person can know.
    """
    from flows.home.environment import current

    home = current()
    values = write_config(
        home.resolve(place), out=home.resolve(out), license_=license_, name=name, replace=force
    )
    return Answer(values=values, text=_text)


def _text(answer: Values) -> None:
    text.line(f"Wrote {answer['config']}")
    for sentence in answer["found"]:
        text.line(f"  {sentence}")
    text.line()
    text.line(f"  lmcore run --config {answer['config']}")


def write_config(
    place: Path, *, out: Path, license_: str | None, name: str | None, replace: bool
) -> dict[str, Any]:
    """Survey a file or folder and write a configuration that `lmcore run --config` accepts.

    Returns:
        `config` (path), `name`, `found` (sentences) and `sources`.

    Raises:
        UserError: If there is no text, or the file exists and `replace` is false.
    """
    from lmcore.artifacts import atomic_write
    from lmcore.config_file import load_config
    from lmcore.data.sources.survey import survey
    from lmcore.data.text.licences import normal_license

    if license_ is not None:
        license_ = normal_license(license_, key="--license")
    found = survey(place)
    target = out.absolute()
    if target.exists() and not replace:
        raise ConfigError(f"{target}: exists already; choose another --out or add --force")
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder; make it first or choose another --out")
    model = name or _model_name(found.place)
    previous = target.read_bytes() if target.exists() else None
    atomic_write(target, _render(found, model=model, license_=license_, target=target))
    try:
        load_config(target)
    except ConfigError:
        # A wrong --name must not cost the user an earlier file.
        target.unlink() if previous is None else atomic_write(target, previous)
        raise
    return {
        "config": str(target),
        "name": model,
        "found": _sentences(found, license_),
        "sources": [
            {
                "path": str(finding.path),
                "files": finding.files,
                "format": finding.format,
                "num_files": finding.num_files,
                "bytes": finding.num_bytes,
                "text_field": finding.text_field,
                "columns": list(finding.columns),
            }
            for finding in found.findings
        ],
    }


def _model_name(place: Path) -> str:
    stem = place.stem if place.is_file() else place.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-._")[:60] or "my-text"


def _sentences(found: Survey, license_: str | None) -> list[str]:
    sentences = []
    for finding in found.findings:
        kind = f"{finding.num_files:,} {finding.format} file{'s' * (finding.num_files != 1)}"
        where = f" ({finding.files})" if finding.files else ""
        sentence = f"{kind}{where}, {finding.num_bytes:,} bytes"
        if finding.columns:
            columns = ", ".join(finding.columns)
            sentence += f"; columns {columns}; text is in {finding.text_field!r}"
        sentences.append(sentence)
    if found.skipped:
        names = ", ".join(path.name for path in found.skipped[:3])
        sentences.append(f"{len(found.skipped)} files of other kinds are left out ({names} ...)")
    if license_ is None:
        hint = f"; {found.about[0].name} may say" if found.about else ""
        sentences.append(
            f"nobody has stated the licence of this text{hint}: the config says so and allows it"
            " for your own use. Name it before you share a model."
        )
    return sentences


def _quoted(name: str) -> str:
    # JSON strings are YAML strings: safe for any name that a file can have.
    return json.dumps(name, ensure_ascii=False)


def _written_path(path: Path, base: Path) -> str:
    """Relative where the text lies below the config, so that both can be moved together."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _source(finding: Finding, license_: str | None, place: Path, base: Path) -> list[str]:
    lines = [f"  - path: {_quoted(_written_path(finding.path, base))}"]
    if finding.files:
        lines.append(f"    files: {_quoted(finding.files)}")
    if finding.format != "auto":
        lines.append(f"    format: {finding.format}")
    if finding.dataset_split:
        lines.append(f"    dataset_split: {_quoted(finding.dataset_split)}")
    if finding.text_field:
        others = [name for name in finding.columns if name != finding.text_field]
        note = f"   # other columns: {', '.join(others)}" if others else ""
        lines.append(f"    text_field: {_quoted(finding.text_field)}{_comment_safe(note)}")
    comment = "" if license_ else "   # an SPDX expression, for example CC0-1.0 or CC-BY-4.0"
    lines.append(f"    license: {_quoted(license_ or 'unknown')}{comment}")
    lines.append(f"    origin: {_quoted(place.name)}   # where the text came from, in words")
    return lines


def _comment_safe(words: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in words)


def _render(found: Survey, *, model: str, license_: str | None, target: Path) -> str:
    version = importlib.metadata.version("lmcore")
    small = sum(finding.num_bytes for finding in found.findings) < _SMALL_BYTES
    sources = [
        line
        for finding in found.findings
        for line in _source(finding, license_, found.place, target.parent)
    ]
    unknown = """\
  # Nobody stated the licence. `allow` promotes a model for your own use; name the
  # licence above and say `block` here before you share one.
  unknown_license: allow"""
    return f"""\
# Written by `lmcore init` {version}; every key is explained in the README.
# Run it:  lmcore run --config {_comment_safe(target.name)}
name: {_quoted(model)}
task: language_modelling
sources:
{chr(10).join(sources)}
data:
  unit: auto                 # one document is a file, a paragraph, a line or a record
  validation_fraction: 0.1   # held out for ever, to judge every model on
  pii: mask                  # e-mail addresses, phone and card numbers are masked
  languages: null            # for example [en, de]; text in others is remarked on
policy:
{unknown if license_ is None else "  unknown_license: block"}
tokenizer: {{kind: bpe, vocab_size: {512 if small else 1024}}}
model: {{pattern: LA, d_model: {128 if small else 256}}}
training:
  seed: 0
  budget_seconds: 120        # wall clock; longer is better
gates: gates.yaml            # the installed limits; or your own file, or a mapping
promote: true
# schedule: {{cron: "0 3 * * 1", timezone: UTC}}
"""
