"""Sketches are handed to another process, and kept in the run's own home alone."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.home.folders import make_home
from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.since_last import last_readable
from flows.steps.sketches import sketching


def test_a_call_that_travels_makes_what_the_run_then_finds(
    made: Any, champion: Version, tmp_path: Path
) -> None:
    run = replace(made.run, home=make_home(tmp_path / "home"))
    last = last_readable(Registry(made.run.home), champion.model)
    alone, helped = sketching(run, made.documents, None), sketching(run, made.documents, last)
    first = pickle.loads(pickle.dumps(helped))()
    assert first.path.is_relative_to(run.home.root)
    assert first == alone()  # not made twice, as an earlier version changes nothing
    assert dict(first.rows()) == dict(Registry(made.run.home).open(champion).sketches())
