"""Which modules a module's answers follow from, and when they say something else."""

import importlib
import sys

import pytest

from lmcore import code_closure
from lmcore.code_closure import closure, meanings

# Of `judging.gate`: it counts, and imports a module for type checkers alone, which imports another.
SOURCES = {
    "gate": """\
from typing import TYPE_CHECKING

from judging.counts import LIMIT

if TYPE_CHECKING:
    from judging.drawn import Page


def judge(page: "Page") -> bool:
    from judging.lazily import measured

    return measured(page) > LIMIT
""",
    "counts": "from judging.base import ONE\n\nLIMIT = 2 * ONE\n",
    "base": "ONE = 1\n",
    "lazily": "def measured(page):\n    return len(page)\n",
    "drawn": "from judging.elsewhere import Page\n",
    "elsewhere": "class Page: ...\n",
}
DECIDES = {"gate", "counts", "base", "lazily"}


@pytest.fixture
def judging(tmp_path, monkeypatch):
    """A package of few modules, each of which may be written anew."""
    folder = tmp_path / "judging"
    folder.mkdir()

    def write(name, text):
        (folder / f"{name}.py").write_text(text)
        code_closure._graph.cache_clear()
        code_closure._meaning.cache_clear()

    for name, text in {"__init__": "", **SOURCES}.items():
        write(name, text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield write
    code_closure._graph.cache_clear()
    code_closure._meaning.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "judging"]:
        del sys.modules[name]


def version():
    return meanings(closure("judging.gate"))


def test_a_closure_is_all_that_is_imported_at_once_through_others_and_in_functions(judging):
    assert closure("judging.gate") == tuple(sorted(f"judging.{name}" for name in DECIDES))
    assert closure("judging.drawn", "judging.base", "judging.nowhere") == (
        "judging.base",
        "judging.drawn",
        "judging.elsewhere",
    )


@pytest.mark.parametrize("name", SOURCES)
def test_a_constant_of_the_closure_counts_and_no_other(judging, name):
    before = version()
    judging(name, SOURCES[name] + "\nSEED = 1\n")
    with_constant = version()
    judging(name, SOURCES[name] + "\nSEED = 2\n")
    assert (version() != with_constant) == (with_constant != before) == (name in DECIDES)


def test_words_and_layout_are_no_other_code(judging):
    before = version()
    judging("base", '"""How much one is."""\n\n# Not two.\nONE = (1)\n')
    judging("lazily", 'def measured(page):\n    """Its length."""\n    return len( page )\n')
    assert version() == before


def test_the_description_of_a_key_is_no_other_code_and_its_default_is(judging):
    def with_key(default, description):
        key = f"KEY = Field({default}{description})"
        judging("base", f"from pydantic import Field\nONE = 1\n{key}\n")
        return version()

    plain = with_key("1", "")
    assert with_key("1", ", description='How many.'") == plain
    assert with_key("2", ", description='How many.'") != plain


def test_a_new_import_is_followed(judging):
    judging("base", "from judging.elsewhere import Page\n\nONE = 1\n")
    assert "judging.elsewhere" in version()
