"""The configuration that `lmcore init` writes: YAML with a remark for whoever reads it.

What is guessed is said; what only a person can know, the licence, is left to a person. Size decides
how large a model and how long a training are proposed.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmcore.data.sources.survey import Finding

_SMALL_BYTES = 300_000
_LARGE_BYTES = 20_000_000
#: Keys of a source, in the order in which they are written.
_KEYS = (
    *("path", "files", "dataset_split", "encoding", "delimiter", "columns", "records"),
    *("text_field", "target_field"),
)
#: What each key is, in half a line; `lmcore config --explain` says the rest.
_REMARKS = {
    "name": "the registered model; every run makes a version of it",
    "task": "what is made of the text",
    "base": "a registered language model of such text helps a lot",
    "sources": "one or more, each with its licence",
    "path": "a file, folder or glob, from the folder of this file on",
    "files": "which files inside it",
    "dataset_split": "which split of the data set",
    "encoding": "of the files' text",
    "delimiter": "between the cells of the table",
    "columns": "their names, as the table has no header",
    "records": "where the list stands inside a file",
    "text_field": "column of the text",
    "target_field": "column of the label, translation or summary",
    "license": "an SPDX expression, such as CC0-1.0 or CC-BY-4.0",
    "origin": "where the text came from, in words",
    "data": "how text becomes documents",
    "unit": "one document is a file, a paragraph, a line or a record",
    "validation_fraction": "held out for ever, to judge every model on",
    "pii": "e-mail addresses, phone and card numbers are masked",
    "policy": "which text a model in use may have learnt from",
    "tokenizer": "how text is cut into tokens, and into how many kinds",
    "model": "one letter a block, L: LSTM, A: attention; and their width",
    "training": "budget_seconds: wall clock; longer is better",
    "fine_tuning": "tokens that are read and written at most; how a task is learnt",
    "pretrained": "folder, GGUF file, package:NAME or owner/name@REVISION",
    "gates": "the installed limits; or your own file, or a mapping",
    "promote": "false: register only, and a person decides",
}
_SMALL = """\
tokenizer: {kind: bpe, vocab_size: 512}   # little text carries a small model
model: {pattern: LA, d_model: 128}
training: {seed: 0, budget_seconds: 120}"""
_OF_TASK = {
    "sentiment": """\
tokenizer: {kind: bpe, vocab_size: 4096}
model: {pattern: LA, d_model: 256}
training: {seed: 0, budget_seconds: 600}
fine_tuning: {max_source_tokens: 256, adaptation_share: 0.5}""",
    "translation": """\
tokenizer: {kind: bpe, vocab_size: 8000}  # of both languages together
model: {pattern: LAA, d_model: 384, num_heads: 4}
training: {seed: 0, budget_seconds: 5400, batch_size: 64, learning_rate: 0.002}
fine_tuning: {max_source_tokens: 128, max_target_tokens: 128, beam_size: 5}""",
    "summarization": """\
tokenizer: {kind: bpe, vocab_size: 4096}
model: {pattern: LAA, d_model: 256, num_heads: 4}
training: {seed: 0, budget_seconds: 3600, batch_size: 16, learning_rate: 0.002}
fine_tuning: {max_source_tokens: 512, max_target_tokens: 96}""",
}
_UNKNOWN = """\
  # Nobody stated the licence. `allow` promotes a model for your own use; name the
  # licence above and say `block` here before you share one.
  unknown_license: allow     # block: keeps such a model from use"""

_KNOWN = "  unknown_license: block     # keeps a model of text without a licence from use"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a configuration is written from.

    Attributes:
        findings: A source each.
        task: What is to be made.
        model: Name of the registered model.
        license: SPDX expression; None: nobody stated it.
        origin: Where the text lies, in words.
        pretrained: Model to start from, as it was given; None: random weights.
    """

    findings: Sequence[Finding]
    task: str
    model: str
    license: str | None
    origin: str
    pretrained: str | None = None


def render(proposal: Proposal, *, target: Path) -> str:
    """The text of a configuration.

    Args:
        proposal: What is to be in it.
        target: Where it will be written: paths below its folder are relative to it.
    """
    num_bytes = sum(finding.num_bytes for finding in proposal.findings)
    sources = [
        line for finding in proposal.findings for line in _source(finding, proposal, target.parent)
    ]
    base = [] if proposal.task == "language_modelling" else [_remarked("base: null")]
    night = "0 3 * * *" if num_bytes < _LARGE_BYTES else "0 3 * * 1"
    lines = [
        f"# Written by `lmcore init` {importlib.metadata.version('lmcore')};"
        " `lmcore config --explain KEY` says what a key does.",
        f"# Look first: lmcore run --config {comment_safe(target.name)} --dry-run",
        _remarked(f"name: {_quoted(proposal.model)}"),
        _remarked(f"task: {proposal.task}"),
        *base,
        _remarked("sources:"),
        *sources,
        _remarked("data:"),
        _remarked("  unit: auto"),
        _remarked("  validation_fraction: 0.1"),
        _remarked("  pii: mask"),
        _remarked("policy:"),
        _UNKNOWN if proposal.license is None else _KNOWN,
        *_started(proposal, num_bytes, target.parent),
        _remarked("gates: gates.yaml"),
        _remarked("promote: true"),
        f'# schedule: {{cron: "{night}", timezone: UTC}}   # for lmcore up',
    ]
    return "\n".join(lines) + "\n"


_FINE_TUNING = {
    "sentiment": "fine_tuning: {max_source_tokens: 256, adaptation_share: 0.0}",
    "translation": "fine_tuning: {max_source_tokens: 128, max_target_tokens: 128, beam_size: 5}",
    "summarization": "fine_tuning: {max_source_tokens: 512, max_target_tokens: 96}",
}


def _started(proposal: Proposal, num_bytes: int, base: Path) -> list[str]:
    """Lines of what is trained: random weights in a shape, or a model that exists."""
    if proposal.pretrained is None:
        sizes = _sizes(proposal.task, num_bytes).splitlines()
        return [line if " # " in line else _remarked(line) for line in sizes]
    tuning = _FINE_TUNING.get(proposal.task)
    return [
        "preset: pretrained-cpu       # how it learns; pretrained-gpu where there is a GPU",
        "model:                       # one that exists, to go on from",
        _remarked(f"  pretrained: {_quoted(_place(proposal.pretrained, base))}"),
        "  license: unknown           # of that model, an SPDX expression such as Apache-2.0",
        "  # known_until: 2024-12-31  # last day of the text that it has read, where that is known",
        *([_remarked(tuning)] if tuning else []),
    ]


def _place(given: str, base: Path) -> str:
    """A place of a model; a path as it is read from the configuration's folder."""
    return _written_path(Path(given), base) if Path(given).is_absolute() else given


def _sizes(task: str, num_bytes: int) -> str:
    if task in _OF_TASK:
        return _OF_TASK[task]
    if num_bytes < _SMALL_BYTES:
        return _SMALL
    preset = "cpu-minutes" if num_bytes < _LARGE_BYTES else "cpu-hour"
    return f"preset: {preset:<20} # tokenizer, model and training; gpu-hour where there is a GPU"


def _source(finding: Finding, proposal: Proposal, base: Path) -> list[str]:
    values = finding.config.model_dump(exclude_defaults=True)
    if finding.columns:
        values["text_field"] = finding.config.text_field  # said, also where it is the usual one
    values["path"] = _written_path(Path(str(finding.config.path)), base)
    if proposal.task == "language_modelling":
        values.pop("target_field", None)
    lines = [_remarked(f"    {key}: {_quoted(values[key])}") for key in _KEYS if key in values]
    used = (values.get("text_field"), values.get("target_field"))
    others = [name for name in finding.columns if name not in used]
    if others:
        lines.append(f"    # other columns: {comment_safe(', '.join(others))}")
    lines += [f"    # {comment_safe(guess)}" for guess in finding.guesses]
    lines += [
        _remarked(f"    license: {_quoted(proposal.license or 'unknown')}"),
        _remarked(f"    origin: {_quoted(proposal.origin)}"),
    ]
    return [f"  - {lines[0][4:]}", *lines[1:]]


def _remarked(line: str) -> str:
    """A line with what its key is behind it."""
    key = line.partition(":")[0].strip()
    return f"{line:<27}  # {_REMARKS[key]}"


def _quoted(value: object) -> str:
    # JSON is YAML: safe for any name that a file can have.
    return json.dumps(value, ensure_ascii=False)


def comment_safe(words: str) -> str:
    """Words that cannot end the comment that they stand in."""
    return "".join(c if c.isprintable() else "?" for c in words)


def _written_path(path: Path, base: Path) -> str:
    """Relative where the text lies below the config, so that both can be moved together."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
