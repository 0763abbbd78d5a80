"""A dated corpus as a user's shell walks through it: monitoring, a warm start, retention."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipeline_corpus as corpus
import pytest
from lmcore_shell import Shell

from flows.home.environment import make_home
from flows.registry.monitor_results import monitor_results

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

# The people of the second year go by names that the first one has not seen.
NEW_NAMES = ("Quillon", "Zephyrine", "Wojciech", "Yngvild", "Xanthippe", "Jocasta")


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What the walk answered, and the commands after it, in their order."""

    home: Path
    timeline: dict[str, Any]
    reproduced: dict[str, Any]
    without_champion: dict[str, Any]
    pruned: dict[str, Any]
    rolled_back: dict[str, Any]


def write_year(folder: Path, year: int, texts: list[str]) -> None:
    lines = (json.dumps({"text": text, "date": f"{year}-06-30"}) for text in texts)
    (folder / f"stories-{year}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, begun: Callable[[Shell], Shell]) -> Walk:
    folder = tmp_path_factory.mktemp("walk")
    write_year(folder, 2001, [corpus.document(i) for i in range(160)])
    later = [corpus.document(i) for i in range(1000, 1040)]
    for old, new in zip(corpus.NAMES, NEW_NAMES, strict=True):
        later = [text.replace(old, new) for text in later]
    write_year(folder, 2002, later)
    config = corpus.CONFIG.replace("license: CC0", "date_field: date, license: CC0")
    config = config.replace("training:\n", "training:\n  start: champion\n")
    config = config.replace("resamples: 1000", "resamples: 1000, free_samples: 20")
    config += "timeline: {dates: [2001-12-31, 2002-12-31]}\n"
    (folder / "config.yaml").write_text(config)
    shell = begun(Shell(folder))
    config_file = ("--config", "config.yaml")
    with shell.opened() as lmcore:
        return Walk(
            home=shell.home,
            timeline=lmcore.run("timeline", *config_file),
            reproduced=lmcore.run("reproduce", "2"),
            without_champion=lmcore.run("monitor", *config_file, "--set", "name=nobody", code=2),
            pruned=lmcore.run("prune", "--keep", "1"),
            rolled_back=lmcore.run("rollback", "--reason", "a test"),
        )


def test_each_day_is_monitored_and_retrained(walk: Walk) -> None:
    first, second = walk.timeline["rows"]
    assert (first["date"], first["documents"], first["fresh"]) == ("2001-12-31", 160, None)
    assert (first["outcome"], first["champion_before"], first["champion"]) == ("promoted", None, 1)
    assert first["start"]["origin"] == "scratch"
    assert "no champion" in first["start"]["reason"]
    assert (second["documents"], second["fresh"], second["champion_before"]) == (200, 40, 1)
    assert second["drift"]["outcome"] == "DRIFTED"
    assert second["drift"]["difference"]["lower"] > 0.02
    assert (second["start"]["origin"], second["start"]["version"]) == ("champion", 1)
    assert second["outcome"] == "promoted", second["reason"]
    assert second["bits_per_byte"]["lower"] < second["bits_per_byte"]["value"]


def test_what_was_found_is_kept_in_mlflow_and_told_to_prefect(walk: Walk) -> None:
    home = make_home(walk.home)
    (found,) = monitor_results(home, "stories")
    assert found["outcome"] == "DRIFTED"
    assert found["documents"]["fresh"] == found["documents"]["scored"] == 40
    assert found["unseen_words"]["difference"]["lower"] > 0.05
    assert abs(found["check"]["difference"]["value"]) < 1e-5
    assert monitor_results(home, "nobody") == []
    with sqlite3.connect(walk.home / "prefect" / "prefect.db") as prefect:
        names = [row[0] for row in prefect.execute("select event from events")]
        flows = [row[0] for row in prefect.execute("select name from flow")]
    assert names.count("lmcore.data.drifted") == 1
    assert {"timeline", "monitor", "retrain"} <= set(flows)


def test_a_version_that_went_on_is_rebuilt_from_where_it_began(walk: Walk) -> None:
    assert walk.reproduced["mismatches"] == []
    assert walk.reproduced["identical"] is True


def test_without_a_champion_there_is_nothing_to_monitor(walk: Walk) -> None:
    assert "no champion" in walk.without_champion["error"]


def test_what_is_in_use_outlives_prune(walk: Walk) -> None:
    assert {row["version"]: row["reasons"][-1] for row in walk.pruned["kept"]} == {
        1: "version 2 went on from it",
        2: "champion",
    }
    # Nothing is left behind by a finished run.
    assert (walk.pruned["versions"], walk.pruned["work"]) == ([], [])
    assert walk.rolled_back["champion"] == 1
