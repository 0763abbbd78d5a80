"""Pages of the site that lie elsewhere in the tree, and what is written for a code host.

A link is written for whoever reads the files, here or at a code host, so it is relative to its
file.  In the site it leads to the page of that file, and where the file is none, to the repository.
A bar inside code inside a table needs a backslash at a code host, which the site would show.
"""

import html
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP = Path(__file__).resolve().parents[2]
#: Files that stay where everybody looks for them, by the page that shows them.
OF_THE_TREE = {
    "benchmarks.md": "BENCHMARKS.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "mlflow.md": "mlflow/README.md",
}
# Code first, so that a link in it stays as it is.
_LINK = re.compile(
    r"(?P<code>^(?P<fence>```+|~~~+).*?^(?P=fence)|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<before>\]\()(?P<target>[^()\s]+)(?P<after>(?:\s+\"[^\"]*\")?\))",
    re.DOTALL | re.MULTILINE,
)
_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_BAR_IN_CODE = re.compile(r"`([^`\n]*\\\|[^`\n]*)`")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie at the top of the tree."""
    for page, place in OF_THE_TREE.items():
        if (path := TOP / place).exists():
            files.append(File.generated(config, page, content=path.read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead each link to a file of the tree to where the site has it."""
    source = OF_THE_TREE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if not (TOP / source).exists():  # made by a hook, for the site alone
        return markdown
    repository = (config.repo_url or "").rstrip("/")

    def lead(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        there = led(found["target"], source=source, page=page.file.src_uri, repository=repository)
        return found["before"] + there + found["after"]

    return _ROW.sub(_with_bars, _LINK.sub(lead, markdown))


def _with_bars(row: re.Match[str]) -> str:
    def code(found: re.Match[str]) -> str:
        text = html.escape(found[1].replace(r"\|", "|"))
        return f"<code>{text.replace('|', '&#124;')}</code>"

    return _BAR_IN_CODE.sub(code, row[0])


def led(target: str, *, source: str, page: str, repository: str) -> str:
    """Where a link leads in the site.

    Args:
        target: As it is written, relative to `source`.
        source: File that it stands in, from the top of the tree.
        page: Page that shows the file, from the top of the site.
        repository: Address of the project's code.

    Returns:
        `target` itself, where it is an address, a place on its page or nothing that exists.
    """
    path, sign, anchor = target.partition("#")
    if not path or ":" in path or path.startswith("/"):
        return target
    place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if place.startswith("..") or not (TOP / place).exists():
        return target
    pages = {there: here for here, there in OF_THE_TREE.items()}
    shown = place.removeprefix("docs/") if place.startswith("docs/") else pages.get(place)
    if shown is None:
        kind = "tree" if (TOP / place).is_dir() else "blob"
        return f"{repository}/{kind}/main/{place}{sign}{anchor}"
    return posixpath.relpath(shown, posixpath.dirname(page) or ".") + sign + anchor
