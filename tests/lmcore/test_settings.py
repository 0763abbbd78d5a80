"""A wrong configuration is one sentence: the key, the value and what is expected."""

from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError, model_validator

from lmcore.settings import Section, explain, short


class Inner(Section):
    size: int = Field(3, ge=1)
    word: str = "x"


class Outer(Section):
    name: str
    one: Inner = Inner()
    maybe: Inner | None = None
    many: list[Inner] = Field(default_factory=list)
    several: tuple[Inner, ...] = ()
    marked: Annotated[Inner, Field(description="with a note")] | None = None
    limit: float = 0.5

    @model_validator(mode="after")
    def _not_both(self) -> "Outer":
        if self.one.size == self.limit:
            raise ValueError("size and limit are the same")
        return self


def sentence(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    return explain(caught.value, Outer)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "the key 'name' is missing"),
        ({"nane": 1, "name": "a"}, "unknown key 'nane'; did you mean 'name'?"),
        (
            {"name": "a", "zzz": 1},
            "unknown key 'zzz'; expected one of name, one, maybe, many, several, marked, limit",
        ),
        ({"name": "a", "one": {"sice": 1}}, "unknown key 'one.sice'; did you mean 'size'?"),
        ({"name": "a", "maybe": {"sice": 1}}, "unknown key 'maybe.sice'; did you mean 'size'?"),
        ({"name": "a", "marked": {"wort": 1}}, "unknown key 'marked.wort'; did you mean 'word'?"),
        (
            {"name": "a", "many": [{}, {"q": 1}]},
            "unknown key 'many.1.q'; expected one of size, word",
        ),
        (
            {"name": "a", "several": [{"sice": 1}]},
            "unknown key 'several.0.sice'; did you mean 'size'?",
        ),
        (
            {"name": "a", "one": {"size": 0}},
            "one.size=0: expected greater than or equal to 1",
        ),
        ({"name": 5}, "name=5: expected a valid string"),
        ({"name": "a", "limit": "much"}, "limit='much': expected a valid number, unable to parse"),
        ({"name": "a", "one": [1]}, "one: expected a valid dictionary or instance of Inner"),
        ({"name": "a", "limit": 3}, "size and limit are the same"),
    ],
)
def test_each_mistake_by_hand(values: dict[str, Any], expected: str) -> None:
    assert sentence(**values).startswith(expected)


def test_of_many_mistakes_the_first_is_said_and_the_others_counted() -> None:
    assert sentence(name=1, limit="much", one={"size": 0}).startswith("name=1: ")
    assert sentence(name=1, limit="much", one={"size": 0}).endswith(" (and 2 more)")


def test_a_long_value_is_cut_and_a_text_is_quoted() -> None:
    assert short(0.5) == "0.5"
    assert short("0.5") == "'0.5'"
    assert short("a\nb") == r"'a\nb'"
    assert short("x" * 78) == repr("x" * 78)
    assert short("x" * 79) == "'" + "x" * 76 + "..."
    assert len(short(list(range(1000)))) == 80


def test_a_section_never_changes_and_checks_its_own_defaults() -> None:
    section = Inner()
    with pytest.raises(ValidationError, match="frozen"):
        section.size = 5  # type: ignore[misc]

    class Wrong(Section):
        size: int = Field(0, ge=1)

    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Wrong()
