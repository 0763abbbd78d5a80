"""Hugging Face `evaluate`: no network, and no more of it than metrics need.

The library's own evaluators, which nothing here uses, import all of transformers where that is
installed, and scipy's statistics: seconds before the first metric.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

# Must stand before the import: the library reads it once.  HF_HUB_OFFLINE is not honoured by it.
os.environ["HF_EVALUATE_OFFLINE"] = "1"
os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"

__all__ = ["Metric", "MetricInfo"]
_UNUSED = ("evaluate.evaluation_suite", "evaluate.evaluator")


class _Absent(ModuleType):
    """Has whatever name is taken from it."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextlib.contextmanager
def _without(*names: str) -> Iterator[None]:
    """Inside, modules that are not imported yet are stood in for; afterwards they can be."""
    absent = {name: _Absent(name) for name in names if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _without(*(() if "evaluate" in sys.modules else _UNUSED)):
    from evaluate import Metric, MetricInfo
