import shutil
from typing import Any

import pytest

from flows.commands.shared.models import all_settled, moved, named, open_model, settled
from flows.registry.alias_moves import Promotion
from flows.registry.history import Event, history, read_history, write_intent
from flows.registry.models import Registry
from lmcore.errors import IntegrityError, NotFoundError, UserError


@pytest.fixture
def of_two(shell: Any) -> Registry:
    return Registry(shell.home)


def event(**changes: Any) -> Event:
    facts: dict[str, Any] = {"action": "override", "model": "speeches", "who": "ada"}
    facts |= {"from_version": 1, "to_version": 2, "reason": "better"}
    return Event(**{**facts, **changes})


@pytest.mark.parametrize("name", [None, "speeches"])
def test_the_only_model_need_not_be_named(of_two: Registry, name: str | None) -> None:
    found, chosen = settled(name)
    assert chosen == "speeches"
    assert found.home.root == of_two.home.root
    assert all_settled(name)[1] == named(of_two, name) == ["speeches"]


def test_of_several_models_one_must_be_named_or_all_are_meant(
    of_two: Registry, register_in: Any, assemble_in: Any, tmp_path: Any
) -> None:
    register_in(of_two, assemble_in(tmp_path, seed=2), name="tales")
    with pytest.raises(UserError, match="several models: speeches, tales; choose one with"):
        settled(None)
    assert settled("tales")[1] == "tales"
    assert all_settled(None)[1] == ["speeches", "tales"]
    assert named(of_two, "tales") == ["tales"]
    for ask in (settled, all_settled, lambda name: named(of_two, name)):
        with pytest.raises(NotFoundError, match="model 'poems' does not exist"):
            ask("poems")


@pytest.mark.parametrize("ask", [settled, all_settled])
def test_what_a_killed_promotion_left_is_put_right_first(of_two: Registry, ask: Any) -> None:
    # Killed between the intent and the alias: the champion was not moved.
    write_intent(of_two, event())
    assert len(read_history(of_two, "speeches").dangling) == 1
    ask(None)
    assert read_history(of_two, "speeches").dangling == ()
    assert of_two.aliases("speeches")["champion"] == 1
    assert [e.action for e in history(of_two, "speeches")] == ["promote"]


def test_a_version_is_opened_by_number_or_alias(of_two: Registry) -> None:
    for which, number in (("champion", 1), ("1", 1), ("v2", 2)):
        version, folder = open_model(which, "speeches")
        assert (version.model, version.number) == ("speeches", number)
        assert folder.weights_sha256 == version.weights_sha256
    with pytest.raises(NotFoundError, match="no alias 'challenger'"):
        open_model("challenger", None)


def test_the_files_are_verified_when_they_are_opened(empty_shell: Any, register: Any) -> None:
    version = register()
    folder = Registry(empty_shell.home).open(version).path
    shutil.rmtree(empty_shell.home.root / "kept")  # or it is put back from there
    (folder / "config.yaml").write_text("name: other\n")
    with pytest.raises(IntegrityError, match=r"config\.yaml"):
        open_model("1", None)


def test_the_command_for_the_other_kind_of_model_is_named(
    empty_shell: Any, register: Any, assemble_in: Any, tmp_path: Any
) -> None:
    register(name="talk")
    register(assemble_in(tmp_path, "r", seed=1), name="reviews", tags={"task": "sentiment"})
    with pytest.raises(UserError) as caught:
        open_model("1", "talk", task=True)
    assert str(caught.value) == (
        "talk is a model for language modelling; use it with `lmcore generate --model talk`."
    )
    with pytest.raises(UserError) as caught:
        open_model("1", "reviews")
    assert str(caught.value) == (
        "reviews is a model for sentiment; use it with `lmcore predict --model reviews`."
    )
    assert open_model("1", "reviews", task=True)[0].model == "reviews"


def test_what_is_answered_of_a_champion_that_was_moved() -> None:
    done = Promotion(event=event(), champion=2, previous=1)
    assert moved(done, "speeches", "is the champion now") == {
        "model": "speeches",
        "version": 2,
        "champion": 2,
        "previous": 1,
        "promoted": True,
        "sentence": "Version 2 of speeches is the champion now.",
    }
