"""Homes that share content keep every document on one side of the split, whoever split it."""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flows.home.environment import Home
from lmcore.data.ingest.shared_sides import learn_sides, new_sides
from lmcore.errors import IntegrityError
from lmcore.shared_store import SharedStore

logger = logging.getLogger(__name__)

_PLACE = "sides"
_FILE = "sides.sqlite"


@contextlib.contextmanager
def shared_sides(home: Home) -> Iterator[None]:
    """Learn what other homes split, then let them learn what was split inside.

    Raises:
        SharedStoreError: If the shared store cannot be reached: a split that knows less than others
            would judge models on text that they were trained on.
        IntegrityError: If something shared is damaged.
    """
    store = home.shared
    if store is None:
        yield
        return
    learn_sides(home.splits, _fetched(home, store))
    yield
    known = _fetched(home, store)
    with tempfile.TemporaryDirectory(prefix="sides-") as folder:
        if home.splits.exists() and new_sides(home.splits, known, Path(folder) / _FILE):
            # In the order of their names; two at once are of different names.
            moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            store.publish(f"{_PLACE}/{moment}-{secrets.token_hex(8)}", Path(folder))


def _fetched(home: Home, store: SharedStore) -> list[Path]:
    """Files of all homes, in the order in which they were shared; kept in the cache."""
    files = []
    for name in store.places(_PLACE):
        folder = home.cache / _PLACE / name
        if not (folder / _FILE).exists():
            partial = folder.with_name(f".{name}")
            shutil.rmtree(partial, ignore_errors=True)
            if not store.fetch(f"{_PLACE}/{name}", partial):
                raise IntegrityError(
                    f"{store.address}/{_PLACE}/{name}: the sides that another home shared were"
                    " damaged; the next run of that home shares them again"
                )
            partial.replace(folder)
        files.append(folder / _FILE)
    return files
