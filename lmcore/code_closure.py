"""What a module's answers follow from: the code that it imports, and what that code means.

In come names of modules; out come the modules that these import, directly or through others, and
a digest of each.  Imports inside functions count, those for type checkers alone do not.  A digest
is of the syntax tree without docstrings and descriptions of configuration keys, so a reworded
sentence or a comment is no other code, and a changed constant is.  Nothing is imported and nothing
written.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.digests import digest

if TYPE_CHECKING:
    from grimp import ImportGraph


def closure(*modules: str) -> tuple[str, ...]:
    """The modules and all modules of their package that they import, sorted.

    Args:
        modules: Dotted names of one package; a name that is no module of it is left out.
    """
    found: set[str] = set()
    for module in modules:
        graph = _graph(module.partition(".")[0])
        if module in graph.modules:
            found |= {module, *graph.find_upstream_modules(module)}
    return tuple(sorted(found))


def meanings(modules: Iterable[str]) -> dict[str, str]:
    """A digest of what each module says, by name."""
    return {module: _meaning(module) for module in modules}


@functools.cache
def _graph(package: str) -> ImportGraph:
    import grimp  # a quarter of a second, which commands that judge nothing need not wait for

    return grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)


@functools.cache
def _meaning(module: str) -> str:
    """Digest of a module's syntax tree without what is written for people alone."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return digest(ast.dump(_WithoutWords().visit(tree)))


class _WithoutWords(ast.NodeTransformer):
    """Takes out docstrings, and the descriptions of configuration keys."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """A string that stands as a statement is a docstring and does nothing."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """What pydantic's `Field` says of a key is shown and decides nothing."""
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [each for each in node.keywords if each.arg != "description"]
        return self.generic_visit(node)
