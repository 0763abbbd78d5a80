"""The classes of a classification: names in a fixed order.

In: the targets of the train split.  Out: `Labels`, and class indices of any targets; a class that
only held-out text has is unknown to every model, and so an error of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lmcore.counted import counted
from lmcore.errors import SourceError

UNKNOWN = -1
MAX_LABELS = 1_000


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Class names, sorted, with their shares of the train split."""

    names: tuple[str, ...]
    shares: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.names)

    def index(self, targets: Iterable[str | None]) -> list[int]:
        """Class of each target; `UNKNOWN` for one that train does not have."""
        place = {name: index for index, name in enumerate(self.names)}
        return [place.get(normal(target), UNKNOWN) for target in targets]


def normal(target: str | None) -> str:
    """A label without blanks around it."""
    return (target or "").strip()


def find_labels(targets: Sequence[str | None]) -> Labels:
    """The classes of the train split.

    Raises:
        SourceError: If there are fewer than two, or so many that they are no classes.
    """
    counts = Counter(normal(target) for target in targets)
    if len(counts) < 2:
        found = next(iter(counts), "")
        raise SourceError(
            f"every train document has the label {found!r}; a classifier needs at least two"
            " classes: check target_field and the order of the rows"
        )
    if len(counts) > MAX_LABELS or (len(counts) > 50 and len(counts) > len(targets) / 2):
        raise SourceError(
            f"{counted(len(counts), 'different label')} in"
            f" {counted(len(targets), 'train document')}; at most {MAX_LABELS} classes are"
            " expected: does target_field name the label?"
        )
    names = tuple(sorted(counts))
    return Labels(names=names, shares=tuple(counts[name] / len(targets) for name in names))
