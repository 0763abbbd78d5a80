"""A conversation as the tokens that a model goes on with.

In: messages, and a tokenizer that came with a chat template.  Out: ids.  The template's special
tokens become their ids; what people wrote becomes text, whatever it spells: nobody ends a turn or
speaks for another role by writing a token's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmcore.chat_template import ChatTemplate
from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.errors import UserError

# Characters without a meaning (private use area of Unicode); one that nobody wrote marks a name.
_MARKS = range(0xE000, 0xF900)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """As a model reads it.

    Attributes:
        text: With the names of its special tokens.
        ids: As tokens; nothing stands before them.
    """

    text: str
    ids: list[int]


class Conversations:
    """Reads conversations for one model.

    Args:
        tokenizer: Its own.
        template: How it wants to be talked to.

    Attributes:
        template: As given.
        ends: Ids of the tokens that end an answer, beside the end token.
    """

    def __init__(self, tokenizer: BorrowedTokenizer, template: ChatTemplate) -> None:
        self._tokenizer, self.template = tokenizer, template
        # A name of one character cannot be told from that character.
        self._special = {name: one for name, one in tokenizer.special.items() if len(name) > 1}
        self.ends = frozenset(
            self._special[name].id for name in template.ends if name in self._special
        )
        names = sorted(self._special, key=len, reverse=True)
        self._names = re.compile(f"({'|'.join(map(re.escape, names))})" if names else r"(\Z\A.)")

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Conversations | None:
        """Those of a model by its tokenizer; None where it has no template."""
        if not isinstance(tokenizer, BorrowedTokenizer) or tokenizer.chat is None:
            return None
        return cls(tokenizer, tokenizer.chat)

    def read(self, messages: Sequence[Mapping[str, str]]) -> Conversation:
        """A conversation, ready to be answered.

        Args:
            messages: `role` and `content` of each.

        Raises:
            UserError: If the template does not take it, or makes nothing of it.
        """
        mark = _unused([message["content"] for message in messages])
        marked = [
            {**message, "content": self._names.sub(lambda m: _split(m, mark), message["content"])}
            for message in messages
        ]
        ids: list[int] = []
        text = self.template.render(marked)
        parts = self._names.split(text)  # text and names in turn
        for place in range(0, len(parts), 2):
            written = parts[place]
            if place and self._special[parts[place - 1]].takes_right:
                written = written.lstrip()
            if place + 1 < len(parts) and self._special[parts[place + 1]].takes_left:
                written = written.rstrip()
            ids += self._tokenizer.encode(written.replace(mark, "")) if written else []
            ids += [self._special[name].id for name in parts[place + 1 : place + 2]]
        if not ids:
            raise UserError("the model's chat template writes nothing for this conversation")
        return Conversation(text=text.replace(mark, ""), ids=ids)


def _split(found: re.Match[str], mark: str) -> str:
    """A name that is none any more, wherever in it another one may begin."""
    return mark.join(found[0]) + mark


def _unused(texts: Sequence[str]) -> str:
    """A character that is in no text."""
    used = set().union(*map(set, texts))
    for value in _MARKS:
        if chr(value) not in used:
            return chr(value)
    raise UserError("the messages use every character of Unicode's private use area; write text")
