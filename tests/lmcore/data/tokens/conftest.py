"""A tokenizer of each kind, fitted once on texts with all that is awkward."""

import pytest

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.tokenizer import Tokenizer, train_tokenizer

KINDS = ("byte", "char", "word", "bpe")


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return [
        "The quick brown fox jumps over the lazy dog. " * 5,
        "Größe und Maß: naïve café, 東京 and 🦊 foxes.\n\n  Indented\tline \n",
        " = Title = \n \n The word word the . \n",
    ]


@pytest.fixture(scope="session")
def fitted(texts: list[str]) -> dict[str, Tokenizer]:
    """By kind, of 300 ids at most; not to be changed."""
    return {
        kind: train_tokenizer(
            texts, config=TokenizerConfig.model_validate({"kind": kind, "vocab_size": 300})
        )
        for kind in KINDS
    }


@pytest.fixture(scope="session", params=KINDS)
def tokenizer(request: pytest.FixtureRequest, fitted: dict[str, Tokenizer]) -> Tokenizer:
    """Each kind in turn."""
    return fitted[request.param]
