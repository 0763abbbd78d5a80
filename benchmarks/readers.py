"""Task runners that read a corpus: what a second worker brings, and whether the bytes are the same.

    python -m benchmarks.readers              100 MB on each of them, about a quarter of an hour
    python -m benchmarks.readers --quick      2 MB

The corpus is that of `benchmarks.corpus`, one file of JSON lines.  Each point is a flow in a
process of its own with a Prefect server and an empty home, as a run has it; the cluster is a local
one that begins with the step.  `reading_seconds` are from the first task to the last part, start of
the cluster included; `ingest_seconds` are the whole step, with what no worker does: clusters of
near-copies, splits, the documents' files.  What is not installed is left out, and said.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.corpus import write_corpus
from benchmarks.recording import in_child, parser, record, workspace

RUNNERS = {"processes": None, "dask": "prefect_dask", "ray": "prefect_ray"}
WORKERS = (1, 2)
_MEGABYTES = 100.0


def measured(point: dict[str, Any]) -> dict[str, Any]:
    """Read a corpus with a task runner, in an empty home."""
    from flows.home.environment import prepare

    home = prepare()

    from prefect import flow

    from flows.servers.prefect_server import PrefectServer
    from flows.steps.part_readers import READERS, chosen_readers
    from flows.steps.part_readers import WORKERS as WORKERS_VARIABLE
    from lmcore.content_store import ContentStore
    from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
    from lmcore.data.ingest.ingest import ingest
    from lmcore.data.ingest.part_pool import pool_for, reading_on
    from lmcore.data.ingest.part_reading import Told
    from lmcore.data.ingest.part_task import PartFolder, Task
    from lmcore.data.ingest.split import SplitLedger

    os.environ[READERS], os.environ[WORKERS_VARIABLE] = point["runner"], str(point["workers"])
    seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def clocked(name: str) -> Generator[None]:
        start = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - start, 2)

    @flow(name="reading")
    def reading() -> Path:
        with chosen_readers():
            pool = pool_for([])

            def clocked_pool(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
                with clocked("reading_seconds"):
                    yield from pool(tasks, told)

            with reading_on(clocked_pool), clocked("ingest_seconds"):
                return ingest(
                    ContentStore(home.content),
                    sources=[SourceConfig(path=point["place"])],
                    data=DataConfig(unit="file"),
                    policy=PolicyConfig(),
                    ledger=SplitLedger(home.splits),
                ).path

    with PrefectServer(home) as server:
        server.wait()
        path = reading()
    digest = hashlib.sha256()
    for file in sorted(path.glob("documents-*.parquet")):
        digest.update(file.read_bytes())
    return {**point, **seconds, "documents_sha256": digest.hexdigest()}


def main() -> None:
    """Measure and write `benchmarks/results/readers.json`."""
    options = parser(__doc__)
    options.add_argument("--megabytes", type=float, default=_MEGABYTES)
    options.add_argument("--point", help="what a process of its own is given")
    given = options.parse_args()
    if given.point:
        print(json.dumps(measured(json.loads(given.point))))
        return
    source = corpora.find("imdb/train_small.jsonl")
    if source is None:
        return
    megabytes = 2.0 if given.quick else given.megabytes
    points, left_out = [], []
    with workspace("readers") as name:
        place = Path(name) / "corpus"
        write_corpus(place, source, megabytes, files=False)
        for runner, module in RUNNERS.items():
            if module is not None and importlib.util.find_spec(module) is None:
                left_out.append(runner)
                continue
            for workers in WORKERS:
                point = {"runner": runner, "workers": workers, "place": str(place)}
                home = Path(name) / f"{runner}-{workers}"
                points.append(in_child("benchmarks.readers", point, home=home))
                print(json.dumps(points[-1]), flush=True)
    seconds = {(p["runner"], p["workers"]): p for p in points}
    results = {
        "megabytes": megabytes,
        "points": [{k: v for k, v in point.items() if k != "place"} for point in points],
        "left_out": left_out,
        "two_workers_to_one": {
            runner: {
                key: round(seconds[runner, 1][key] / seconds[runner, 2][key], 2)
                for key in ("reading_seconds", "ingest_seconds")
            }
            for runner in RUNNERS
            if (runner, 2) in seconds
        },
        "same_bytes": len({point["documents_sha256"] for point in points}) == 1,
    }
    record("readers", results, given)


if __name__ == "__main__":
    main()
