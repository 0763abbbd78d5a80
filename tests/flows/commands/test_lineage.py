import json
from typing import Any

import pytest

from flows.registry.models import Registry
from flows.registry.removals import record_removals
from lmcore.data.copies.removal import Removal
from lmcore.errors import UserError


def test_documents_licences_and_shares_are_listed(trained_shell: Any, tmp_path: Any) -> None:
    answer = trained_shell.answer("lineage", "champion", "--out", "documents.jsonl")
    assert answer["documents"] == 80
    assert [(row["license"], row["share"]) for row in answer["licenses"]] == [("CC0-1.0", 1.0)]
    splits = {row["split"]: row["documents"] for row in answer["splits"]}
    assert sum(splits.values()) == 80
    assert splits["train"] > 50
    lines = (tmp_path / "documents.jsonl").read_text().splitlines()
    assert len(lines) == 80
    assert sum(json.loads(line)["num_bytes"] for line in lines) == answer["bytes"]
    assert answer["out"] == str(tmp_path / "documents.jsonl")
    assert (answer["forgotten"], answer["list"]) == (0, [])


def test_shares_are_of_bytes_and_of_those_that_were_learnt(trained_shell: Any) -> None:
    answer = trained_shell.answer("lineage", "1", "--documents", "80")
    size: dict[str, int] = {}
    for row in answer["list"]:
        size[row["split"]] = size.get(row["split"], 0) + row["num_bytes"]
    learnt = size["train"] + size["tune"]
    for row in answer["splits"]:
        own = size[row["split"]]
        trained = own if row["split"] in ("train", "tune") else 0
        assert (row["bytes"], row["trained_bytes"]) == (own, trained)
        assert row["share"] == pytest.approx(own / sum(size.values()))
        assert row["trained_share"] == pytest.approx(trained / learnt)
    (source,) = answer["sources"]
    assert (source["origin"], source["files"], source["documents"]) == ("a test", 1, 80)
    registry = Registry(trained_shell.home)
    folder = registry.open(registry.version("lines", 1))
    assert answer["manifest_sha256"] == folder.manifest_sha256
    assert answer["digests"]["documents"] == folder.lineage()["documents"]


def test_a_page_of_the_list_begins_after_the_offset(trained_shell: Any) -> None:
    everything = trained_shell.answer("lineage", "1", "--documents", "80")["list"]
    page = trained_shell.answer("lineage", "1", "--documents", "3", "--offset", "78")
    assert page["list"] == everything[78:]
    assert page["offset"] == 78


def test_what_must_be_forgotten_by_now_is_marked(shell: Any) -> None:
    removal = Removal(
        document="a" * 64, sketch=None, reason="asked", who="ada", at="2026-03-01T00:00:00+00:00"
    )
    record_removals(Registry(shell.home), [removal])
    answer = shell.answer("lineage", "1", "--documents", "1")
    assert [(row["id"], row["forgotten"]) for row in answer["list"]] == [("a" * 64, True)]
    assert [answer[key] for key in ("forgotten", "removals_then", "removals_now")] == [1, 0, 1]
    shown = shell.lines("lineage", "1", "--documents", "1")
    assert "  1 of its documents must be forgotten by now: `lmcore run`" in shown
    assert shown[-1].split() == [
        *("aaaaaaaaaaaa", "1801.txt", "train", "CC0-1.0", "4", "forgotten"),
    ]


def test_people_see_tables_of_shares(shell: Any) -> None:
    lineage = shell.answer("lineage", "champion", "--documents", "5")
    assert [row["license"] for row in lineage["licenses"]] == ["CC0-1.0"]
    assert [row["name"] for row in lineage["list"]] == ["1801.txt"]
    shown = shell.run("lineage", "1").stdout
    assert "licenses" not in shown
    lines = shown.splitlines()
    assert lines[:2] == ["speeches version 1", "  1 document, 4 bytes"]
    assert ["CC0-1.0", "1", "4", "100.0%", "100.0%"] in [line.split() for line in lines]


def test_a_list_that_cannot_be_written_is_named(shell: Any) -> None:
    refused = shell.refusal("lineage", "1", "--out", "/proc/documents.jsonl")
    assert isinstance(refused, UserError)
    assert str(refused).startswith("--out /proc/documents.jsonl: cannot be written (")


def test_the_pretrained_model_is_shown_with_licence_hash_and_day(tuned_shell: Any) -> None:
    found = tuned_shell.answer("lineage", "1")["pretrained"]
    assert (found["name"], found["license"], found["origin"]) == ("llama", "Apache-2.0", "a test")
    assert (found["known_until"], found["source"]) == ("2024-12-31", "models/llama")
    assert found["registered"] == "base-llama version 1"
    shown = "\n".join(tuned_shell.lines("lineage", "1"))
    assert "pretrained model llama, licence Apache-2.0 (base-llama version 1)" in shown
    assert f"weights {found['weights'][:12]}, it has read text until 2024-12-31" in shown


def test_it_is_shown_where_the_model_itself_is_gone(tuned_shell: Any) -> None:
    for folder in (tuned_shell.home.content, tuned_shell.home.mlflow_artifacts):
        for weights in folder.glob("**/pretrained/*/model.safetensors"):
            weights.unlink()
    assert tuned_shell.answer("lineage", "2")["pretrained"]["name"] == "llama"


def test_random_weights_began_with_none(shell: Any) -> None:
    assert shell.answer("lineage", "1")["pretrained"] is None
