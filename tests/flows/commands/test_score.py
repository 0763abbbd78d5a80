import math
from pathlib import Path
from typing import Any

import pytest

from lmcore.errors import SourceError, UserError
from lmcore.version_folder import VersionFolder


def test_one_document_has_a_value_and_no_bounds(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Fellow citizens, this is a letter of mine.")
    answer = shell.answer("score", "letter.txt")
    (document,) = answer["documents"]
    assert document["bytes"] == 42
    found = answer["bits_per_byte"]
    assert found["value"] == pytest.approx(document["bits"] / 42)
    assert (found["lower"], found["upper"], found["n"]) == (None, None, 1)
    # Random weights know nothing of text: about as much as all of 257 tokens being equally likely.
    assert found["value"] == pytest.approx(math.log2(257) * 43 / 42, abs=1.0)
    assert shell.lines("score", "letter.txt") == [f"{found['value']:.3f} bits/byte over 1 document"]


def test_standard_input_is_scored_as_a_file_is(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Fellow citizens, this is a letter of mine.")
    given = (tmp_path / "letter.txt").read_bytes()
    assert shell.answer("score", "-", given=given) == shell.answer("score", "letter.txt")


def test_several_documents_have_an_interval_around_their_mean(shell: Any, tmp_path: Path) -> None:
    lines = [f"Letter number {n} {'speaks of trade ' * n}" for n in range(1, 9)]
    (tmp_path / "letters.jsonl").write_text("".join(f'{{"text": "{line}"}}\n' for line in lines))
    answer = shell.answer("score", "letters.jsonl", "--version", "2", "--model", "speeches")
    assert (answer["model"], answer["version"]) == ("speeches", 2)
    assert len({document["id"] for document in answer["documents"]}) == 8
    bits, size = (sum(d[key] for d in answer["documents"]) for key in ("bits", "bytes"))
    found = answer["bits_per_byte"]
    assert found["value"] == pytest.approx(bits / size)
    assert found["lower"] < found["value"] < found["upper"]
    assert (found["unit"], found["n"]) == ("bits/byte", 8)


def test_what_cannot_be_scored_is_named(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text(" \n")
    for name, reason in (("missing.txt", "missing.txt"), ("blank.txt", "holds no usable text")):
        refused = shell.refusal("score", name)
        assert isinstance(refused, SourceError)
        assert reason in str(refused)


def test_a_model_of_a_task_scores_no_text(empty_shell: Any, register: Any, tmp_path: Path) -> None:
    register(tags={"task": "sentiment"})
    (tmp_path / "letter.txt").write_text("A letter of mine.")
    refused = empty_shell.refusal("score", "letter.txt", "--version", "1")
    assert isinstance(refused, UserError)
    assert "speeches is a model for sentiment; use it with `lmcore predict" in str(refused)


def test_a_file_is_masked_as_the_training_text_was(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "given.txt").write_text("Write to ann@example.org, +49 30 1234567.")
    (tmp_path / "masked.txt").write_text("Write to <EMAIL>, <PHONE>.")
    assert shell.answer("score", "given.txt") == shell.answer("score", "masked.txt")
    monkeypatch.setattr(VersionFolder, "config", "data: {pii: keep}")
    (document,) = shell.answer("score", "given.txt")["documents"]
    assert document["bytes"] == len("Write to ann@example.org, +49 30 1234567.")
