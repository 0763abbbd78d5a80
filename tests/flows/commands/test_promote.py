from typing import Any

from lmcore.errors import UserError


def test_what_did_not_pass_is_promoted_by_a_person_alone(shell: Any) -> None:
    # The steps of one story, in their order: each needs the one before.
    refusal = shell.run("promote", "2", "--reason", "I like it")
    assert refusal.exit_code == 3
    assert "Version 2 of speeches was not promoted: champion said FAIL. A p" in refusal.stdout
    refused = shell.answer("promote", "2", "--reason", "I like it", code=3)
    assert (refused["promoted"], refused["champion"], refused["previous"]) == (False, 1, None)
    assert isinstance(shell.refusal("promote", "2", "--reason", " "), UserError)
    moved = shell.answer("promote", "2", "--reason", "I like it", "--override")
    assert (moved["promoted"], moved["champion"], moved["previous"]) == (True, 2, 1)


def test_the_first_version_that_passed_becomes_the_champion(
    empty_shell: Any, register: Any
) -> None:
    register()
    moved = empty_shell.answer("promote", "v1", "--reason", "first")
    assert (moved["champion"], moved["previous"], moved["promoted"]) == (1, None, True)
    assert moved["sentence"] == "Version 1 of speeches is the champion now."
