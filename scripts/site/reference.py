"""Pages of the site that the code itself writes: every command, every key, every public name.

The commands are read from click itself: `mkdocs-click` leaves out examples, bounds and short names,
sorts by the alphabet, and shows click's mark for "not given" as a default.  The configuration is
`lmcore.config_reference`.  Of the packages only names stand here: mkdocstrings reads them.
"""

import ast
import html
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from lmcore.config_reference import Key

TOP = Path(__file__).resolve().parents[2]
#: Where the pages of the packages are; in the navigation it stands for all of them.
API = "reference/api"
ROOTS = ("lmcore", "flows")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the packages where the navigation has a place for them."""
    api = [{root: [f"{API}/{name}.md" for name in packages(root)]} for root in ROOTS]
    config.nav = _placed(config.nav, api)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    pages = {
        "reference/commands.md": commands_page(),
        "reference/configuration.md": configuration_page(),
        **{f"{API}/{name}.md": package_page(name) for root in ROOTS for name in packages(root)},
    }
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def _placed(nav: Any, api: list[Any]) -> Any:
    if isinstance(nav, list):
        return [_placed(item, api) for item in nav]
    if isinstance(nav, dict):
        return {title: _placed(item, api) for title, item in nav.items()}
    return api if nav == API else nav


def packages(root: str) -> list[str]:
    """Dotted names of a package and of all below it, in the order of their names."""
    found = (TOP / root).rglob("__init__.py")
    return sorted(".".join(path.parent.relative_to(TOP).parts) for path in found)


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """Dotted names and files of the public modules of a package, without those below."""
    folder = TOP.joinpath(*package.split("."))
    for path in sorted(folder.glob("*.py")):
        if not path.stem.startswith("_"):
            yield f"{package}.{path.stem}", path


def public_names(path: Path) -> list[str]:
    """Functions and classes that a module defines for others, in the order of the file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, kinds)]
    return [node.name for node in nodes if not node.name.startswith("_")]


def package_page(package: str) -> str:
    """A package with its modules below it."""
    head = [
        # Words of pages that are written for people come first in the search.
        *("---", "search:", "  boost: 0.3", "---", f"# {package}", ""),
        *(f"::: {package}", "    options:", "      show_root_heading: false"),
        *("      show_root_toc_entry: false", "      members: []"),
    ]
    parts = ["\n".join(head)]
    for name, path in modules(package):
        parts.append(f"::: {name}\n    options:\n      members: {public_names(path)}")
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """Each command with its usage, arguments, options and examples, in groups as in `--help`."""
    from flows.cli import COMMANDS, cli

    lines = ["# Every command", "", "What `lmcore COMMAND --help` says, on one page.", ""]
    for group, names in COMMANDS.items():
        lines += [f"## {group}", ""]
        for name in names:
            lines += _command(name, cli.commands[name])
    return "\n".join(lines)


def _command(name: str, command: click.Command) -> Iterator[str]:
    settings = {**command.context_settings, "show_default": True, "max_content_width": 72}
    context = click.Context(command, info_name=f"lmcore {name}", **settings)
    usage = command.get_usage(context).removeprefix("Usage: ")
    yield from (f"### lmcore {name}", "", inspect.cleandoc(command.help or ""), "")
    yield from ("```", usage, "```", "", "| option | what it does |", "|---|---|")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            option, does = (html.escape(each).replace("|", "&#124;") for each in record)
            yield f"| <code>{option}</code> | {does} |"
    yield ""
    examples = [line.strip() for line in (command.epilog or "").splitlines()]
    examples = [line for line in examples if line.startswith("lmcore ")]
    if examples:
        yield from ("```", *examples, "```", "")


def configuration_page() -> str:
    """Each key of a configuration: what it takes, what holds without it, and why."""
    from lmcore.config_reference import Key, below, keys

    top = Key(name="", section="", kind="", bounds="", default="", form="", description="")
    lines = [
        "# Every key of a configuration",
        "",
        "What `lmcore config --explain KEY` says, on one page. A key is written as `--set` takes",
        "it; in a file the parts between dots stand below each other, and a number is an entry of",
        "a list.",
        "",
    ]
    for section in (top, *(key for key in keys() if key.is_section)):
        title = f"`{section.name}`" if section.name else "At the top"
        lines += [f"## {title} {{ #{_anchor(section.name or 'top')} }}", "", section.description]
        lines.append("")
        for key in below(section):
            if not key.is_section:
                lines += _key(key)
    return "\n".join(lines)


def _anchor(name: str) -> str:
    return f"key-{name}"


def _key(key: "Key") -> Iterator[str]:
    bounds = f", {key.bounds}" if key.bounds else ""
    default = (
        "must be given" if key.default is None else f"default <code>{_code(key.default)}</code>"
    )
    form = f"; only of a model that is `{key.form}`" if key.form else ""
    yield from (f"### `{key.name}` {{ #{_anchor(key.name)} }}", "")
    yield from (f"*{_code(key.kind + bounds)}*; {default}{form}", "", key.description, "")


def _code(text: str) -> str:
    # Neither Markdown nor HTML: a pattern is full of stars and brackets.
    return re.sub(r"[\\`*_{}\[\]<>|&]", lambda found: f"&#{ord(found[0])};", text)
