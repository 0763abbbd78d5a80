from typing import Any

import pytest

from flows.commands.shared import completion
from flows.registry.glance import GlancedModel

SPEECHES = GlancedModel(
    name="speeches",
    task="language_modelling",
    aliases={"champion": 2, "previous": 1, "best-of-may": 2},
    numbers=(1, 2, 10),
)
REVIEWS = GlancedModel(name="reviews", task="sentiment", aliases={"champion": 7}, numbers=(7,))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(*models: GlancedModel) -> None:
        monkeypatch.setattr(completion, "glance", lambda: list(models))

    return make


def test_versions_are_aliases_and_then_numbers_with_what_they_are(registered: Any) -> None:
    registered(SPEECHES)
    assert completion.versions(None) == {
        "best-of-may": "version 2 of speeches",
        "champion": "version 2 of speeches",
        "previous": "version 1 of speeches",
        "10": "",
        "2": "best-of-may, champion",
        "1": "previous",
    }


def test_of_several_models_numbers_mean_something_once_one_is_chosen(registered: Any) -> None:
    registered(SPEECHES, REVIEWS)
    assert [*completion.versions(None)] == ["best-of-may", "champion", "previous"]
    assert [*completion.versions("reviews")] == ["champion", "7"]
    assert completion.versions("others") == {}
    assert completion.models(None) == {
        "speeches": "language_modelling, 3 versions",
        "reviews": "sentiment, 1 version",
    }


def test_what_cannot_be_read_completes_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "glance", lambda: None)
    assert completion.models(None) == completion.aliases(None) == completion.versions(None) == {}


def test_candidates_begin_with_what_is_typed() -> None:
    found = completion.items({"champion": "", "challenger": "new", "1": ""}, "cha")
    assert [(item.value, item.help) for item in found] == [
        ("champion", None),
        ("challenger", "new"),
    ]
