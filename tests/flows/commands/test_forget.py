from pathlib import Path
from typing import Any

import pytest

from flows.registry.models import Registry
from flows.registry.removals import current_removals
from lmcore.errors import UserError

ASKED = ("--reason", "asked by its author")


@pytest.fixture
def learnt(made: Any, tmp_path: Path) -> Any:
    """A document that the champion was trained on, and its text in a file."""
    found = next(made.documents.iter_documents("train"))
    (tmp_path / "same.txt").write_text(found.text)
    return found


def test_a_rehearsal_says_who_knows_it_and_changes_nothing(trained_shell: Any, learnt: Any) -> None:
    rehearsal = trained_shell.answer("forget", "same.txt", *ASKED, "--dry-run")
    assert (rehearsal["removals"], rehearsal["erased"]) == (0, [])
    assert [v["version"] for v in rehearsal["versions"]] == [1]
    shown = trained_shell.lines("forget", "same.txt", *ASKED, "--dry-run")
    assert shown[1] == "  lines version 1 (champion) was trained on it:"
    assert shown[-1] == "Nothing was changed (--dry-run)."
    assert len(current_removals(Registry(trained_shell.home))) == 0
    assert [*trained_shell.home.content.glob("documents/[!.]*")]


def test_a_document_leaves_every_later_model_and_what_is_cached(
    trained_shell: Any, learnt: Any
) -> None:
    # The steps of one story, in their order: each needs the one before.
    refused = trained_shell.refusal("forget", "same.txt", "--reason", " ")
    assert (isinstance(refused, UserError), "--reason is empty" in str(refused)) == (True, True)
    answer = trained_shell.answer("forget", "same.txt", *ASKED)
    assert (answer["removals"], answer["model"]) == (1, None)
    assert [document["id"] for document in answer["documents"]] == [learnt.id]
    assert {erased.split("/")[1] for erased in answer["erased"]} >= {"documents", "checkpoint"}
    home = trained_shell.home
    assert not [erased for erased in answer["erased"] if (home.root / erased).exists()]
    assert [*home.content.glob("documents/[!.]*")] == []
    events = trained_shell.answer("history")["events"]
    assert [e["action"] for e in events] == ["promote", "forget"]
    assert "asked by its author" in events[-1]["reason"]
    assert learnt.name not in events[-1]["reason"]
    # A second request changes nothing more.
    assert trained_shell.answer("forget", learnt.id, "--reason", "again")["removals"] == 0
    assert trained_shell.lines("forget", "same.txt", *ASKED)[-5:] == [
        "It is kept out of every later model, near-copies too; `lmcore run` trains without it.",
        "  It was removed before.",
        "  Erased: 0 cached folders.",
        "  The versions above stay as they are: their weights learnt from it.",
        "  Your own files were not touched.",
    ]
    again = trained_shell.answer("reproduce", "1", code=3)
    assert again["rebuilt"] == ""
    assert any("was forgotten" in m and "asked by its author" in m for m in again["mismatches"])


def test_it_can_be_forgotten_in_one_model_alone(trained_shell: Any, learnt: Any) -> None:
    shown = trained_shell.lines("forget", "same.txt", *ASKED, "--model", "lines")
    assert (
        "It is kept out of every later version of lines, near-copies too; `lmcore run` trains"
        " without it." in shown
    )
    (removal,) = current_removals(Registry(trained_shell.home)).entries
    assert (removal.document, removal.model) == (learnt.id, "lines")
