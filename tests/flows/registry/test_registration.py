from types import SimpleNamespace
from typing import Any

import pytest

from flows.registry.registration import Registration
from flows.registry.versions import RUN_KEY_TAG, Version, describe
from lmcore.version_folder import VersionFolder


def registration(**changes: Any) -> Registration:
    values: dict[str, Any] = {
        "run_id": "r",
        "run_key": "k",
        "passed": True,
        "verdict": "all gates PASS",
        "metrics": {"accuracy": {"value": 0.75, "unit": "share"}},
        "fingerprints": {"data": "d", "tokenizer": None},
        "flow_run_id": "f",
        "tags": {"task": "sentiment"},
    }
    return Registration(**{**values, **changes})


def read_again(tags: dict[str, str]) -> Version:
    version = SimpleNamespace(
        version="4", name="tone", tags=tags, run_id="r", source="models:/m", creation_timestamp=0
    )
    return describe(version, {4: ["challenger"]})


def test_what_is_written_as_tags_is_read_again(version_folder: VersionFolder) -> None:
    new = registration()
    version = read_again(new.all_tags(version_folder))
    assert (version.outcome, version.passed, version.verdict) == (
        *("registered", True, "all gates PASS"),
    )
    assert (version.run_key, version.flow_run_id, version.task) == ("k", "f", "sentiment")
    assert version.metrics == new.metrics
    assert version.fingerprints == new.fingerprints
    assert version.weights_sha256 == version_folder.weights_sha256
    assert version.manifest_sha256 == version_folder.manifest_sha256
    rejected = read_again(registration(passed=False, flow_run_id=None).all_tags(version_folder))
    assert (rejected.outcome, rejected.passed, rejected.flow_run_id) == ("rejected", False, None)


def test_a_tag_that_says_nothing_is_not_written(version_folder: VersionFolder) -> None:
    tags = registration(flow_run_id=None, tags={"start_weights": ""}).all_tags(version_folder)
    assert not {"prefect_flow_run_id", "start_weights"} & tags.keys()
    assert all(tags.values())


def test_further_tags_decide_nothing(version_folder: VersionFolder) -> None:
    forged = {"passed": "true", "outcome": "promoted", "weights_sha256": "0", RUN_KEY_TAG: "other"}
    version = read_again(registration(passed=False, tags=forged).all_tags(version_folder))
    assert (version.passed, version.outcome, version.run_key) == (False, "rejected", "k")
    assert version.weights_sha256 == version_folder.weights_sha256


def test_a_verdict_that_no_store_takes_is_cleaned(version_folder: VersionFolder) -> None:
    tags = registration(verdict="a\0b\udc80").all_tags(version_folder)
    assert tags["verdict"] == "ab?"


def test_a_metric_that_is_no_number_is_not_written(version_folder: VersionFolder) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        registration(metrics={"accuracy": {"value": float("nan")}}).all_tags(version_folder)
