"""Who owns the text, asked of a real version: found, rebuilt, forgotten, and gone from the next."""

from collections.abc import Callable
from pathlib import Path

import pipeline_corpus as corpus
import pytest
from lmcore_shell import Session, Shell

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, begun: Callable[[Shell], Shell]) -> Shell:
    folder = tmp_path_factory.mktemp("ownership")
    corpus.write_corpus(folder)
    (folder / "config.yaml").write_text(corpus.CONFIG)
    return begun(Shell(folder))


def test_what_is_forgotten_is_gone_from_the_next_version(shell: Shell) -> None:
    with shell.opened() as session:
        forgotten_and_gone(session, shell.folder)


def forgotten_and_gone(lmcore: Session, folder: Path) -> None:
    """The steps of one story, in their order: each needs the one before."""
    assert lmcore.run("run", "--config", "config.yaml")["outcome"] == "promoted"
    listed = lmcore.run("lineage", "1", "--documents", "500")["list"]
    assert len(listed) == 160
    wanted = next(row for row in listed if row["split"] == "train")
    # The name of a record ends with its line.
    text = str(corpus.document(int(wanted["name"].rpartition(":")[2]) - 1))
    (folder / "same.txt").write_text(text)
    (folder / "edited.txt").write_text(f"As I wrote: {text.replace('harbour', 'port')}")
    edited = lmcore.run("seen", "edited.txt")["versions"][0]["documents"]
    assert [row["kind"] for row in edited if row["id"] == wanted["id"]] == ["near-copy"]
    rebuilt = lmcore.run("reproduce", "1")
    assert (rebuilt["mismatches"], rebuilt["identical"]) == ([], True)
    assert rebuilt["weights"] == rebuilt["rebuilt"]

    answer = lmcore.run("forget", "same.txt", "--reason", "asked by its author")
    assert answer["removals"] == 1
    assert [document["id"] for document in answer["documents"]] == [wanted["id"]]
    assert answer["erased"]
    for path in (folder / "home").rglob("*"):
        assert path.is_dir() or text.encode() not in path.read_bytes(), path
    events = lmcore.run("history")["events"]
    assert [e["action"] for e in events] == ["promote", "forget"]

    again = lmcore.run("reproduce", "1", code=3)
    assert again["rebuilt"] == ""
    assert any("was forgotten" in m and "asked by its author" in m for m in again["mismatches"])

    # The source still holds it, and yet: the next model is made without it.
    retrained = lmcore.run("run", "--config", "config.yaml")
    assert retrained["version"] == 2
    gates = {gate["gate"]: gate for gate in retrained["gates"]}
    assert gates["provenance"]["outcome"] == "PASS"
    assert "kept out because of 1 removal," in gates["provenance"]["reason"]
    # After a removal the new model need not be better, only not worse.
    assert retrained["outcome"] == "promoted", retrained["reason"]
    seen = {v["version"]: v for v in lmcore.run("seen", "same.txt")["versions"]}
    assert seen[1]["trained"] is True
    assert not any(row["kind"] == "exact" for row in seen.get(2, {"documents": []})["documents"])
    listed = lmcore.run("lineage", "2", "--documents", "500")["list"]
    assert wanted["id"] not in {row["id"] for row in listed}
    # To the new model it is text like any other that it never read.
    scored = lmcore.run("score", "same.txt", "--version", "2")["bits_per_byte"]["value"]
    held_out = retrained["metrics"]["val_bits_per_byte"]["value"]
    assert scored == pytest.approx(held_out, rel=0.25)
