from pathlib import Path
from typing import Any

import pytest

from lmcore.errors import NotFoundError


@pytest.fixture
def learnt(made: Any) -> Any:
    """A document that the champion was trained on."""
    return next(made.documents.iter_documents("train"))


def test_a_document_is_found_by_file_by_id_and_edited(
    trained_shell: Any, learnt: Any, tmp_path: Path
) -> None:
    (tmp_path / "same.txt").write_text(learnt.text)
    word = learnt.text.split()[5]
    edited = f"As I wrote: {learnt.text.replace(word, 'port')}"
    (tmp_path / "edited.txt").write_text(edited)
    (tmp_path / "other.txt").write_text("Nobody has ever written this sentence before. " * 5)
    for target in ("same.txt", learnt.id, learnt.id[:12]):
        answer = trained_shell.answer("seen", target)
        assert answer["seen"] is True
        (version,) = answer["versions"]
        assert version["version"] == 1
        assert version["aliases"] == ["champion"]
        exact = [row for row in version["documents"] if row["kind"] == "exact"]
        assert [(row["id"], row["share"]) for row in exact] == [(learnt.id, 1.0)]
    (near,) = trained_shell.answer("seen", "edited.txt")["versions"][0]["documents"]
    assert (near["id"], near["kind"]) == (learnt.id, "near-copy")
    other = trained_shell.answer("seen", "other.txt")
    assert (other["seen"], other["versions"], other["problems"]) == (False, [], [])
    assert [row["name"] for row in other["documents"]] == ["other.txt"]


def test_what_a_version_held_out_is_met_and_not_learnt(trained_shell: Any, made: Any) -> None:
    held_out = next(made.documents.iter_documents("validation"))
    answer = trained_shell.answer("seen", held_out.id)
    assert answer["seen"] is False
    assert [version["trained"] for version in answer["versions"]] == [False]
    assert "  lines version 1 (champion) met it, not in training:" in trained_shell.lines(
        "seen", held_out.id
    )


def test_people_are_told_of_every_version(shell: Any) -> None:
    assert shell.answer("seen", "a" * 64)["seen"] is True
    assert shell.lines("seen", "a" * 64) == [
        "1801.txt (aaaaaaaaaaaa)",
        "  speeches version 1 (champion) was trained on it:",
        "    train       exact     100.0%  1801.txt (aaaaaaaaaaaa), CC0-1.0",
        "  speeches version 2 was trained on it:",
        "    train       exact     100.0%  1801.txt (aaaaaaaaaaaa), CC0-1.0",
    ]


def test_a_target_is_a_file_or_an_id(empty_shell: Any) -> None:
    refused = empty_shell.refusal("seen", "no-such-file")
    assert isinstance(refused, NotFoundError)
    assert refused.exit_code == 2
    assert "there is no such file, and it is no document id" in str(refused)


def test_what_a_pretrained_model_has_read_nobody_knows(tuned_shell: Any) -> None:
    # Of a document that no version met, too.
    for target, met in (("a" * 64, [1, 2]), ("b" * 64, [])):
        answer = tuned_shell.answer("seen", target)
        assert [version["version"] for version in answer["versions"]] == met
        (row,) = answer["unrecorded"]
        assert (row["model"], row["versions"], row["pretrained"]) == ("speeches", [1, 2], "llama")
        assert "was trained on text that is not recorded here" in row["sentence"]
        assert any(row["sentence"] in line for line in tuned_shell.lines("seen", target))
    told = tuned_shell.answer("forget", "a" * 64, "--reason", "asked", "--dry-run")
    assert told["unrecorded"] == tuned_shell.answer("seen", "a" * 64)["unrecorded"]


def test_of_random_weights_everything_is_known(trained_shell: Any, learnt: Any) -> None:
    assert trained_shell.answer("seen", learnt.id)["unrecorded"] == []
