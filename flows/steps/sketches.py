"""Sketches of a run's documents: asked for while it is evaluated, and taken into the version.

In: a run, its documents and the last version, whose sketches serve again.  Out: a call that can be
handed to another process; whoever calls it first makes them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from flows.registry.versions import Version
from flows.steps.run import Run
from lmcore.content_store import ContentStore
from lmcore.data.documents import DocumentSet
from lmcore.version_folder import VersionFolder
from lmcore.version_sketches import SketchSet, make_sketches


def sketching(
    run: Run, documents: DocumentSet, last: tuple[Version, VersionFolder] | None
) -> Callable[[], SketchSet]:
    """What sketches the documents, or finds them sketched; other homes have no use for it.

    Args:
        run: Whose home keeps them.
        documents: Of this run.
        last: Of `last_readable`.
    """
    store = ContentStore(run.store.root)
    return functools.partial(make_sketches, store, documents, last[1] if last else None)
