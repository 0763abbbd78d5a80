"""The documentation site: built once, strictly; nothing in it asks a network; it fits a phone."""

import ast
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import browser
import markdown
import pytest
import yaml
from markdown_it import MarkdownIt
from mkdocs.utils.yaml import get_yaml_loader

from flows.cli import COMMANDS
from lmcore.config_reference import keys

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: a link into nothing, or a page in no menu, ends it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Tags]:
    found = {str(path.relative_to(site)): path for path in sorted(site.rglob("*.html"))}
    assert len(found) > 60
    return {name: Tags(path.read_text("utf-8")) for name, path in found.items()}


def outside(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def test_nothing_in_it_asks_a_network(site: Path, pages: dict[str, Tags]) -> None:
    for name, page in pages.items():
        for tag, has in page.tags:
            asked = [has.get(key, "") for key in ("src", "srcset", "data", "poster", "action")]
            if tag != "a" and has.get("rel") != "canonical":
                asked.append(has.get("href", ""))
            assert not any(map(outside, asked)), (name, tag, has)
            # These two make the theme's script ask a code host and a place for scripts.
            assert has.get("data-md-component") != "source", name
            assert "mermaid" not in has.get("class", "").split(), name
    for style in site.rglob("*.css"):
        text = style.read_text("utf-8")
        fetched = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s]+)", text)
        assert not any(map(outside, fetched)), style


def test_links_that_leave_it_are_addresses_and_files_of_the_tree(pages: dict[str, Tags]) -> None:
    repository = "https://github.com/lmcore/lmcore"
    left = {
        has["href"]
        for page in pages.values()
        for tag, has in page.tags
        if tag == "a" and "href" in has
    }
    left = {address for address in left if outside(address)}
    assert left
    for address in left:
        parts = urlsplit(address)
        assert parts.scheme in ("http", "https"), address
        assert re.fullmatch(r"([\w-]+\.)+[a-z]{2,}|(127\.0\.0\.1|localhost)(:\d+)?", parts.netloc)
        assert not re.search(r"\s", address), address
        if address.startswith(f"{repository}/"):
            kind, branch, place = address.removeprefix(f"{repository}/").split("/", 2)
            path = ROOT / place.partition("#")[0]
            assert (kind, branch) == ("tree" if path.is_dir() else "blob", "main")
            assert path.exists(), address


def defined(path: Path) -> Iterator[str]:
    """Public functions and classes of a module, and the public functions of its classes."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.parse(path.read_text("utf-8")).body:
        if not isinstance(node, (*functions, ast.ClassDef)) or node.name.startswith("_"):
            continue
        yield f"{module}.{node.name}"
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            documented = isinstance(inner, functions) and ast.get_docstring(inner) is not None
            if documented and not inner.name.startswith("_"):
                yield f"{module}.{node.name}.{inner.name}"


def test_every_public_function_has_its_page(site: Path) -> None:
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(inventory).decode("utf-8").splitlines()
    written = {line.split()[0]: line.split()[3].partition("#")[0] for line in lines}
    public = {
        name
        for top in ("lmcore", "flows")
        for path in (ROOT / top).rglob("*.py")
        if not path.stem.startswith("_")
        for name in defined(path)
    }
    assert len(public) > 1000
    assert public - set(written) == set()
    assert all((site / page).exists() for page in set(written.values()))
    private = {name for name in written if re.search(r"\._[a-z]", name)}
    assert private == set()


def test_every_command_and_every_key_has_its_place(pages: dict[str, Tags]) -> None:
    anchors = {
        name: {has["id"] for _, has in page.tags if "id" in has} for name, page in pages.items()
    }
    commands = [name for group in COMMANDS.values() for name in group]
    assert {f"lmcore-{name}" for name in commands} <= anchors["reference/commands.html"]
    named = {f"key-{key.name}" for key in keys()}
    assert named <= anchors["reference/configuration.html"]


def test_the_widest_pages_fit_a_phone(site: Path, tmp_path: Path) -> None:
    names = ("gates", "pretrained", "benchmarks", "changelog", "architecture", "reference/commands")
    names += ("reference/configuration", "reference/api/flows.registry")
    found = browser.widths([site / f"{name}.html" for name in names], tmp_path, width=390)
    assert len(found) == len(names)
    assert set(found.values()) == {(390, 390)}


def test_it_is_searched_without_a_server(site: Path, tmp_path: Path) -> None:
    dom = browser.loaded(site / "sweep.html", tmp_path, query="q=rollback")
    (found,) = re.findall(r'md-search-result__meta">(\d+) matching documents', dom)
    assert int(found) > 2


def read_twice() -> list[Path]:
    top = [ROOT / f"{name}.md" for name in ("BENCHMARKS", "CHANGELOG", "CONTRIBUTING")]
    return [*top, ROOT / "mlflow" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", read_twice(), ids=lambda path: path.name)
def test_a_page_is_the_same_at_a_code_host(path: Path) -> None:
    """Two dialects of Markdown: lists, tables and blocks of code are there in both."""
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(), get_yaml_loader())
    text = path.read_text("utf-8")
    shown = markdown.markdown(
        text,
        extensions=[
            e if isinstance(e, str) else next(iter(e)) for e in settings["markdown_extensions"]
        ],
    )
    hosted = MarkdownIt("commonmark").enable("table").render(text)
    kinds = ("h1", "h2", "h3", "ul", "ol", "li", "table", "tr", "td", "pre", "img", "blockquote")
    counts = [
        {kind: len(re.findall(rf"<{kind}\b", page)) for kind in kinds} for page in (shown, hosted)
    ]
    assert counts[0] == counts[1]
