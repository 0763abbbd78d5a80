"""The template engine of every page and card."""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lmcore.reporting.text import finalize, markdown_finalize

_HERE = Path(__file__).parent


@functools.cache
def environment(*, html: bool = True) -> Environment:
    """The template engine: strict about names, and escaping for HTML or for Markdown."""
    return Environment(
        loader=FileSystemLoader([_HERE, _HERE / "version", _HERE / "dashboard"]),
        autoescape=html,  # noqa: S701 - for Markdown, `markdown_finalize` escapes instead
        undefined=StrictUndefined,
        finalize=finalize if html else markdown_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
