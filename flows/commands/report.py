"""`lmcore report`: the report page of a version, in a browser."""

from __future__ import annotations

import os
import shutil
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.errors import NotFoundError, UserError

if TYPE_CHECKING:
    from flows.registry.models import Registry
    from flows.registry.versions import Version


@command(
    "lmcore report",
    "lmcore report 3 --model annual-messages --no-open",
    "lmcore report champion --out report.html",
    makes_home=False,
)
@options.version_argument(required=False)
@options.model
@click.option(
    "--out", type=options.PATH, metavar="FILE", help="Write a copy there, and open that one."
)
@click.option("--no-open", is_flag=True, help="Say where it is, and open no browser.")
def report(version: str | None, model: str | None, out: Path | None, no_open: bool) -> Answer:
    """Open the page that says how good a version is, and why.

    Without a VERSION it is the champion, and where nothing is promoted yet the newest version. No
    browser is opened with --json, or where there is no display; from a server the page is fetched
    into LMCORE_HOME.
    """
    from flows.commands.shared.models import settled

    registry, name = settled(model)
    found = _version(registry, name, version)
    path = registry.read(found, whole=False).report
    if out is not None:
        path = _copied(path, registry.home.resolve(out))
    as_json = click.get_current_context().params["as_json"]
    values = {
        "model": name,
        "version": found.number,
        "path": str(path),
        "url": path.as_uri(),
        "opened": not no_open and not as_json and _opened(path.as_uri()),
    }
    return Answer(values=values, text=_text)


def _version(registry: Registry, name: str, which: str | None) -> Version:
    if which is not None:
        return registry.version(name, which)
    if "champion" in registry.aliases(name):
        return registry.version(name, "champion")
    newest = registry.latest(name)
    if newest is None:
        raise NotFoundError(f"model {name} has no version; `lmcore run` makes one.")
    return newest


def _copied(page: Path, target: Path) -> Path:
    from flows.home.access import as_the_user

    if target.is_dir():
        target /= page.name
    try:
        with as_the_user():
            shutil.copyfile(page, target)
    except OSError as error:
        raise UserError(
            f"--out {target}: cannot be written ({error.strerror}); name another file"
        ) from error
    return target


def _opened(url: str) -> bool:
    """Whether a browser was asked to show it, as the user's other programs ask."""
    from flows.home.environment import as_it_was_given

    shown_at = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, shown_at)):
        return False
    with as_it_was_given():
        try:
            return webbrowser.open(url)
        except webbrowser.Error:
            return False


def _text(answer: Values) -> None:
    text.line(answer["path"])
