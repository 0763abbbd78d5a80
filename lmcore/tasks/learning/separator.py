"""The token between source and target of a task that writes.

A model from random weights is given a token more than its tokenizer has.  One that exists has the
rows of its table and no more; so a token of its own is used that no text can spell, such as one
that stands between documents or turns.  It has a meaning already, which learning bends.
"""

from __future__ import annotations

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.errors import ConfigError

_NEWLINE = b"\n"


def find_separator(tokenizer: Tokenizer, *, grows: bool) -> int:
    """The id between source and target.

    Args:
        tokenizer: Of the model.
        grows: Whether the model can be given a token behind those of the tokenizer.

    Returns:
        The first id behind those of the tokenizer; else the first that no text yields; else the
        line break, which texts may hold as well.

    Raises:
        ConfigError: If there is none of them.
    """
    if grows:
        return tokenizer.vocab_size
    # Those that have a token come first: rows without one fill a table up.
    if tokenizer.unspelled:
        return tokenizer.unspelled[0]
    if _NEWLINE in tokenizer.pieces:
        return tokenizer.pieces.index(_NEWLINE)
    raise ConfigError(
        "the pretrained model has neither a special token beside the end of text nor a line break,"
        " so nothing can stand between a source and its target; start from another model"
    )
