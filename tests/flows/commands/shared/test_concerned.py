from typing import Any

import pytest

from flows.commands.shared.concerned import show


def document(number: int) -> dict[str, Any]:
    return {"id": f"{number:02d}" * 32, "name": f"letter {number}.txt"}


def match(number: int, **changes: Any) -> dict[str, Any]:
    facts = {"split": "train", "kind": "exact", "share": 1.0, "license": "CC0-1.0"}
    return {**document(number), **facts, **changes}


def shown(capsys: pytest.CaptureFixture[str], **answer: Any) -> list[str]:
    nothing: dict[str, Any] = {"versions": [], "unrecorded": [], "problems": []}
    show({"documents": [document(1)], **nothing, **answer})
    return capsys.readouterr().out.splitlines()


def test_one_block_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"model": "letters", "version": 2, "aliases": ["champion", "previous"]}
    learnt = {**facts, "trained": True, "documents": [match(1)]}
    held_out = {**facts, "version": 3, "aliases": [], "trained": False}
    held_out["documents"] = [match(4, split="validation", kind="near-copy", share=0.875)]
    assert shown(capsys, versions=[learnt, held_out]) == [
        "letter 1.txt (010101010101)",
        "  letters version 2 (champion, previous) was trained on it:",
        "    train       exact     100.0%  letter 1.txt (010101010101), CC0-1.0",
        "  letters version 3 met it, not in training:",
        "    validation  near-copy  87.5%  letter 4.txt (040404040404), CC0-1.0",
    ]


def test_that_nobody_met_it_is_said_and_so_is_what_could_not_be_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown(capsys, problems=["version 1 of letters could not be asked: gone"]) == [
        "letter 1.txt (010101010101)",
        "  No version met it, or a near-copy of it.",
        "  version 1 of letters could not be asked: gone",
    ]


def test_long_lists_are_cut_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    version = {"model": "letters", "version": 1, "aliases": [], "trained": True}
    version["documents"] = [match(n) for n in range(1_012)]
    lines = shown(capsys, documents=[document(n) for n in range(6)], versions=[version])
    assert lines[0].endswith("letter 4.txt (040404040404) ...")
    assert len([line for line in lines if line.startswith("    train")]) == 10
    assert lines[-1] == "    and 1,002 more"


def test_what_cannot_be_known_is_said_of_what_began_with_another_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {"sentence": "Version 1 began with small, whose text is not recorded here."}
    assert shown(capsys, unrecorded=[row])[-1] == f"  {row['sentence']}"
