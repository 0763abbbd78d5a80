"""Who owns the text, asked of a real version: lineage, seen, reproduce, forget, and the retrain."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

_spec = importlib.util.spec_from_file_location(
    "pipeline_corpus", Path(__file__).with_name("pipeline_corpus.py")
)
assert _spec is not None
assert _spec.loader is not None
corpus = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(corpus)


@dataclass
class Shell:
    folder: Path

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=self.folder,
            env={**kept, "LMCORE_HOME": "home", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = self.command(*arguments, "--json")
        assert done.returncode == code, done.stderr[-3000:]
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home with one version of a small model; the tests below use it in their order."""
    folder = tmp_path_factory.mktemp("ownership")
    corpus.write_corpus(folder)
    (folder / "config.yaml").write_text(corpus.CONFIG)
    found = Shell(folder)
    assert found.run("run", "--config", "config.yaml")["outcome"] == "promoted"
    return found


@pytest.fixture(scope="module")
def wanted(shell: Shell) -> dict[str, Any]:
    """A document that the version was trained on."""
    listed = shell.run("lineage", "1", "--documents", "500")["list"]
    found = next(row for row in listed if row["split"] == "train")
    assert isinstance(found, dict)
    return found


def text_of(row: dict[str, Any]) -> str:
    """Its text: the name of a record ends with its line."""
    return str(corpus.document(int(row["name"].rpartition(":")[2]) - 1))


def test_lineage_lists_documents_licences_and_shares(shell: Shell) -> None:
    answer = shell.run("lineage", "champion", "--out", "documents.jsonl")
    assert answer["documents"] == 160
    assert [(row["license"], row["share"]) for row in answer["licenses"]] == [("CC0-1.0", 1.0)]
    splits = {row["split"]: row["documents"] for row in answer["splits"]}
    assert sum(splits.values()) == 160
    assert splits["train"] > 100
    lines = (shell.folder / "documents.jsonl").read_text().splitlines()
    assert len(lines) == 160
    assert sum(json.loads(line)["num_bytes"] for line in lines) == answer["bytes"]
    assert answer["forgotten"] == 0


def test_seen_finds_a_document_by_file_by_id_and_edited(
    shell: Shell, wanted: dict[str, Any]
) -> None:
    text = text_of(wanted)
    (shell.folder / "same.txt").write_text(text)
    (shell.folder / "edited.txt").write_text(f"As I wrote: {text.replace('harbour', 'port')}")
    (shell.folder / "other.txt").write_text("Nobody has ever written this sentence before. " * 5)
    for target in ("same.txt", wanted["id"], wanted["id"][:12]):
        answer = shell.run("seen", target)
        assert answer["seen"] is True
        (version,) = answer["versions"]
        assert version["version"] == 1
        assert version["aliases"] == ["champion"]
        exact = [row for row in version["documents"] if row["kind"] == "exact"]
        assert [(row["id"], row["share"]) for row in exact] == [(wanted["id"], 1.0)]
    edited = shell.run("seen", "edited.txt")["versions"][0]["documents"]
    assert [row["kind"] for row in edited if row["id"] == wanted["id"]] == ["near-copy"]
    assert shell.run("seen", "other.txt") == {
        **shell.run("seen", "other.txt"),
        "seen": False,
        "versions": [],
        "problems": [],
    }
    refused = shell.command("seen", "no-such-file")
    assert refused.returncode == 2
    assert "there is no such file, and it is no document id" in refused.stderr


def test_a_version_is_reproduced_bit_for_bit(shell: Shell) -> None:
    answer = shell.run("reproduce", "1")
    assert answer["mismatches"] == []
    assert answer["identical"] is True
    assert answer["weights"] == answer["rebuilt"]
    assert list((shell.folder / "home" / "work").glob("reproduce-*")) == []


def test_a_changed_source_is_a_named_mismatch(shell: Shell) -> None:
    source = shell.folder / "stories-0.jsonl"
    whole = source.read_text()
    try:
        source.write_text("\n".join(whole.splitlines()[:-1]) + "\n")
        answer = shell.run("reproduce", "1", code=3)
    finally:
        source.write_text(whole)
    assert answer["identical"] is False
    assert any("stories-0.jsonl of source 0 has changed" in m for m in answer["mismatches"])
    assert any("is missing or has changed" in m for m in answer["mismatches"])


def test_what_is_forgotten_is_gone_from_the_next_version(
    shell: Shell, wanted: dict[str, Any]
) -> None:
    # The steps of one story, in their order: each needs the one before.
    refused = shell.command("forget", "same.txt", "--reason", " ")
    assert (refused.returncode, "--reason is empty" in refused.stderr) == (2, True)
    rehearsal = shell.run("forget", "same.txt", "--reason", "asked by its author", "--dry-run")
    assert (rehearsal["removals"], rehearsal["erased"]) == (0, [])
    assert [v["version"] for v in rehearsal["versions"]] == [1]
    answer = shell.run("forget", "same.txt", "--reason", "asked by its author")
    assert answer["removals"] == 1
    assert [document["id"] for document in answer["documents"]] == [wanted["id"]]
    assert answer["erased"]
    text = text_of(wanted).encode()
    for path in (shell.folder / "home").rglob("*"):
        assert path.is_dir() or text not in path.read_bytes(), path
    events = shell.run("history")["events"]
    assert [e["action"] for e in events] == ["promote", "forget"]
    assert "asked by its author" in events[-1]["reason"]
    assert wanted["name"] not in events[-1]["reason"]
    # A second request changes nothing more.
    assert shell.run("forget", wanted["id"], "--reason", "again")["removals"] == 0

    again = shell.run("reproduce", "1", code=3)
    assert again["rebuilt"] == ""
    assert any("was forgotten" in m and "asked by its author" in m for m in again["mismatches"])

    # The source still holds it, and yet: the next model is made without it.
    retrained = shell.run("run", "--config", "config.yaml")
    assert retrained["version"] == 2
    gates = {gate["gate"]: gate for gate in retrained["gates"]}
    assert gates["provenance"]["outcome"] == "PASS"
    assert "kept out because of 1 removals" in gates["provenance"]["reason"]
    # After a removal the new model need not be better, only not worse.
    assert retrained["outcome"] == "promoted", retrained["reason"]
    seen = {v["version"]: v for v in shell.run("seen", "same.txt")["versions"]}
    assert seen[1]["trained"] is True
    assert not any(row["kind"] == "exact" for row in seen.get(2, {"documents": []})["documents"])
    listed = shell.run("lineage", "2", "--documents", "500")["list"]
    assert wanted["id"] not in {row["id"] for row in listed}
    # To the new model it is text like any other that it never read.
    scored = shell.run("score", "same.txt", "--version", "2")["bits_per_byte"]["value"]
    held_out = retrained["metrics"]["val_bits_per_byte"]["value"]
    assert scored == pytest.approx(held_out, rel=0.25)
