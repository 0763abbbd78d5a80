r"""Byte-pair encoding word by word: a word that came before is looked up, not encoded again.

In: texts, and an encoder of the `tokenizers` library whose merges stay inside of words.  Out: the
ids that the library gives, as arrays.

The words of a text come back again and again (a hundredth of them are new in a corpus of reviews),
and what an encoder makes of a word does not depend on its neighbours.  So texts are cut here, by
the pattern of the encoder, and the library encodes each word once.  Two programs that know
different versions of Unicode could cut a text at different places: a text with a character that the
library takes for something else is left to it.

Cost: some 80 MB of memory at most (200,000 words of 20 letters, spelled in letters); what is known
is forgotten where it would become more.
"""

from __future__ import annotations

import functools
import itertools
import re
import threading
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tokenizers

#: What merges may join: the byte-level pattern of GPT-2 (Radford et al. 2019), with the marks and
#: joiners of a word beside its letters.  Without them a word of Hindi or Tamil would be cut at each
#: of its vowel signs; text in scripts without such signs is cut as that pattern does.
WORDS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}\p{M}\u200c\u200d]+| ?\p{N}+"
    r"| ?[^\s\p{L}\p{M}\p{N}\u200c\u200d]+|\s+(?!\S)|\s+"
)
Ids = npt.NDArray[np.uint32]

# White space to the library; `str.isspace` knows four more.
_BLANK = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_JOINERS = "\u200c\u200d"
# What is kept: words, and characters of all of them.
_MAX_WORDS = 200_000
_MAX_CHARACTERS = 4_000_000
# Where more words than this share are new (clauses of Chinese, numbers), looking them up costs more
# than it saves: so many calls are left to the library, before one tries again.
_MOST_NEW = 0.3
_LEFT = 7
# Fewer words tell nothing.
_TELLING = 1_000
# Of a character: whether both programs take it for the same.
_agreed: dict[str, bool] = {}


def pre_tokenizer() -> tokenizers.pre_tokenizers.PreTokenizer:
    """What cuts texts by `WORDS` in the library."""
    return tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(WORDS), behavior="isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def encodes_words(encoder: tokenizers.Tokenizer) -> bool:
    """Whether an encoder cuts texts by `WORDS`, and each word by itself and always alike."""
    cuts, model = encoder.pre_tokenizer, encoder.model
    return bool(
        cuts is not None
        and cuts.__getstate__() == pre_tokenizer().__getstate__()
        and encoder.normalizer is None
        and encoder.truncation is None
        and encoder.padding is None
        and not encoder.get_added_tokens_decoder()
        and isinstance(model, tokenizers.models.BPE)
        and not model.dropout
    )


class WordCache:
    """Encodes texts, and remembers their words; for as many threads as like.

    Args:
        encoder: For which `encodes_words` is true.
    """

    def __init__(self, encoder: tokenizers.Tokenizer) -> None:
        self._encoder = encoder
        self._known = _KnownWords()
        # Calls that the library answers alone.
        self._left = 0
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Ids of each text, as the encoder itself gives them."""
        with self._lock:
            sure = [self._is_sure(text) for text in texts]
            left = [text for text, is_sure in zip(texts, sure, strict=True) if not is_sure]
            known = iter(self._looked_up([t for t, s in zip(texts, sure, strict=True) if s]))
            asked = iter(encoded(self._encoder, left))
            return [next(known if is_sure else asked) for is_sure in sure]

    def _looked_up(self, texts: Sequence[str]) -> list[Ids]:
        if self._left:
            self._left -= 1
            return encoded(self._encoder, texts)
        if not texts:
            return []
        if self._known.are_many:
            self._known = _KnownWords()
        words = list(map(_cutter().word.findall, texts))
        counts = np.fromiter(map(len, words), np.int64, len(words))
        each = map(self._known.__getitem__, itertools.chain.from_iterable(words))
        numbers = np.fromiter(each, np.int64, int(counts.sum()))
        if self._known.learn(self._encoder) > _MOST_NEW * max(len(numbers), _TELLING):
            self._left = _LEFT
        return self._known.spelled(numbers, counts)

    def _is_sure(self, text: str) -> bool:
        """Whether both programs take all characters of a text for the same."""
        if text.isascii():
            return True
        return all(map(self._agree, itertools.filterfalse(str.isascii, set(text))))

    def _agree(self, character: str) -> bool:
        if (agreed := _agreed.get(character)) is None:
            cut = self._encoder.pre_tokenizer.pre_tokenize_str
            agreed = _agreed[character] = all(
                (len(cut(sign + character)) == 1) == bool(kind.match(character))
                for sign, kind in _cutter().kinds
            )
        return agreed


def encoded(encoder: tokenizers.Tokenizer, texts: Sequence[str]) -> list[Ids]:
    """Ids of each text, by the library alone, on all cores."""
    found = encoder.encode_batch_fast(list(texts), add_special_tokens=False) if texts else []
    return [np.array(encoding.ids, dtype=np.uint32) for encoding in found]


class _KnownWords(dict[str, int]):
    """Words by number, in the order in which they came, and the ids of each.

    One that is asked for gets its number at once, and its ids when all new ones are encoded.
    """

    def __init__(self) -> None:
        super().__init__()
        self._new: list[str] = []
        self._characters = 0
        # Ids of all words behind one another, and of each word how many it has and where.
        self._ids = np.empty(0, dtype=np.uint32)
        self._sizes = np.empty(0, dtype=np.int64)
        self._starts = np.empty(0, dtype=np.int64)

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        self._new.append(word)
        return number

    @property
    def are_many(self) -> bool:
        """Whether they take as much memory as is granted."""
        return len(self) > _MAX_WORDS or self._characters > _MAX_CHARACTERS

    def learn(self, encoder: tokenizers.Tokenizer) -> int:
        """Have the words encoded that came since this was last done; returns how many."""
        if not (new := len(self._new)):
            return 0
        found = encoded(encoder, self._new)
        sizes = np.array([len(ids) for ids in found], dtype=np.int64)
        starts = len(self._ids) + np.cumsum(sizes) - sizes
        self._ids = np.concatenate([self._ids, *found])
        self._sizes = np.concatenate([self._sizes, sizes])
        self._starts = np.concatenate([self._starts, starts])
        self._characters += sum(map(len, self._new))
        self._new = []
        return new

    def spelled(self, numbers: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> list[Ids]:
        """The ids of texts.

        Args:
            numbers: Of the words of all texts, in order, [words].
            counts: How many words each text has, [texts].
        """
        sizes = self._sizes[numbers]
        ends = np.cumsum(sizes)
        # Of each id: where it stands among the ids of all known words.
        places = np.repeat(self._starts[numbers] - (ends - sizes), sizes)
        ids = self._ids[places + np.arange(len(places))]
        after = np.cumsum(counts)[:-1]
        return np.split(ids, np.concatenate([[0], ends])[after])


class _Cutter(NamedTuple):
    """`WORDS` in the dialect of the standard library, which is twice as fast as others.

    Attributes:
        word: Finds the words of a text.
        kinds: A sign, and what makes no further word behind it.
    """

    word: re.Pattern[str]
    kinds: Sequence[tuple[str, re.Pattern[str]]]


@functools.cache
def _cutter() -> _Cutter:
    # Beyond the first plane a class costs time for every word: what is there counts as a sign, and
    # texts with letters of it are left to the library.
    letter, number = _ranges("LM") + _JOINERS, _ranges("N")
    sign = f"[^{_BLANK}{letter}{number}]"
    # Words come first, as most begin so; no other alternative begins with their characters.
    word = re.compile(
        rf" ?[{letter}]+|'(?:[stmd]|re|ve|ll)| ?[{number}]+| ?{sign}+"
        rf"|[{_BLANK}]+(?![^{_BLANK}])|[{_BLANK}]+"
    )
    kinds = (("a", f"[{letter}]"), ("1", f"[{number}]"), ("!", sign))
    return _Cutter(word, [(before, re.compile(kind)) for before, kind in kinds])


def _ranges(categories: str) -> str:
    """Characters of the first plane in general categories of Unicode, as ranges of a class."""
    ranges: list[list[int]] = []
    for point in range(0x10000):
        if unicodedata.category(chr(point))[0] in categories:
            if ranges and ranges[-1][1] == point - 1:
                ranges[-1][1] = point
            else:
                ranges.append([point, point])
    return "".join(rf"\u{first:04x}-\u{last:04x}" for first, last in ranges)
