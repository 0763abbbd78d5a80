"""Tokens are put together to words, and shares to those of words."""

import pytest

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.tokenizer import Tokenizer, train_tokenizer
from lmcore.tasks.judging.attention import words


@pytest.fixture(scope="module", params=["byte", "char", "word", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    texts = ["a film – naïve, and don't you know it is not good."] * 3
    config = TokenizerConfig.model_validate({"kind": request.param, "vocab_size": 300})
    return train_tokenizer(texts, config=config)


def test_pieces_of_a_word_are_one_word(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("naïve film, bad")
    found = words(tokenizer, ids)
    names = [name for name, _ in found if name]
    assert names == ["naïve", "film", ",", "bad"]
    assert [place for _, at in found for place in at] == list(range(len(ids)))
    assert words(tokenizer, []) == []
