"""Something stands between source and target that no text spells, whatever the tokenizer."""

from typing import Any

import pytest

pytest.importorskip("transformers")
from pretrained_models import END_TOKEN, library_tokenizer

from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.errors import ConfigError
from lmcore.tasks.learning.separator import find_separator


def borrowed(specials: list[str], *, more_rows: int = 0) -> BorrowedTokenizer:
    made = library_tokenizer()
    made.add_special_tokens(specials)
    rows = made.get_vocab_size() + more_rows
    return BorrowedTokenizer(made.to_str(), vocab_size=rows, end_id=0)


def test_a_model_from_random_weights_gets_a_token_more() -> None:
    assert find_separator(ByteTokenizer(), grows=True) == 257


@pytest.mark.parametrize("more_rows", [0, 5])
def test_a_special_token_is_used_that_is_not_the_end(more_rows: int) -> None:
    tokenizer = borrowed(["<|turn|>", "<|pad|>"], more_rows=more_rows)
    found = find_separator(tokenizer, grows=False)
    assert tokenizer.vocab_size - more_rows - 2 == found
    assert found not in tokenizer.encode(f"a<|turn|>b<|pad|>c{END_TOKEN}d")
    assert tokenizer.decode([found]) == ""


def test_a_row_without_a_token_will_do() -> None:
    tokenizer = borrowed([], more_rows=3)
    assert find_separator(tokenizer, grows=False) == tokenizer.vocab_size - 3


def test_else_it_is_the_line_break() -> None:
    tokenizer = borrowed([])
    found = find_separator(tokenizer, grows=False)
    assert found != tokenizer.end_id
    assert tokenizer.pieces[found] == b"\n"


def test_nothing_is_one_sentence() -> None:
    class Without:
        unspelled: tuple[int, ...] = ()
        pieces = (b"", b"a")
        vocab_size = 2

    tokenizer: Any = Without()
    with pytest.raises(ConfigError, match="nothing can stand between a source and its target"):
        find_separator(tokenizer, grows=False)
