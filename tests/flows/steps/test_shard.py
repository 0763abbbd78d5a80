"""How many shares an evaluation has, and what may be said of one."""

import pytest
from pydantic import ValidationError

from flows.steps.shard import SHARDS, Shard, wanted_shards
from lmcore.errors import ConfigError


@pytest.mark.parametrize(("given", "number"), [("", 1), ("1", 1), ("4", 4), ("64", 64)])
def test_a_number_of_shares(monkeypatch: pytest.MonkeyPatch, given: str, number: int) -> None:
    monkeypatch.setenv(SHARDS, given)
    assert wanted_shards() == number


@pytest.mark.parametrize("given", ["0", "65", "-1", "4.0", "four", "\u00b2", "9" * 5000])
def test_what_is_no_number_of_shares_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv(SHARDS, given)
    with pytest.raises(ConfigError, match="expected a number from 1 to 64"):
        wanted_shards()


def test_a_share_names_folders_by_their_keys_alone() -> None:
    key = "0" * 64
    facts = {"tokenizer": key, "shards": key, "checkpoint": key, "champion": None}
    assert Shard(documents=key, number=0, of=2, **facts).documents == key
    for wrong in ("../../elsewhere", "0" * 63, "0" * 65, "G" * 64):
        with pytest.raises(ValidationError):
            Shard(documents=wrong, number=0, of=2, **facts)
