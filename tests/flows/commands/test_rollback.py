from typing import Any

from flows.registry.models import Registry
from lmcore.errors import NotFoundError, UserError


def test_the_champion_before_is_the_champion_again(shell: Any) -> None:
    shell.answer("promote", "2", "--reason", "I like it", "--override")
    back = shell.run("rollback", "--reason", "it swore")
    assert back.stdout == "Version 1 of speeches is the champion again.\n"
    registry = Registry(shell.home)
    assert registry.aliases("speeches")["champion"] == 1
    assert registry.version("speeches", 2).quarantined == "it swore"


def test_the_answer_for_programs(shell: Any) -> None:
    shell.answer("promote", "2", "--reason", "I like it", "--override")
    assert shell.answer("rollback", "--reason", "it swore", "--model", "speeches") == {
        "model": "speeches",
        "version": 1,
        "champion": 1,
        "previous": None,
        "promoted": True,
        "sentence": "Version 1 of speeches is the champion again.",
    }


def test_it_needs_a_reason_and_somewhere_to_go_back_to(shell: Any) -> None:
    refused = shell.refusal("rollback", "--reason", " ")
    assert isinstance(refused, UserError)
    assert "a rollback needs a reason" in str(refused)
    nowhere = shell.refusal("rollback", "--reason", "it swore")
    assert isinstance(nowhere, NotFoundError)
    assert "no earlier champion" in str(nowhere)
    assert Registry(shell.home).aliases("speeches")["champion"] == 1
