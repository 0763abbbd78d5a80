"""What ROUGE and BLEU count as a token, by the language of the references.

In: references.  Out: a tokenizer of rouge-score, and the name of one of sacrebleu.  Both are
chosen by the references alone, so whatever is judged on the same documents is counted in the same
tokens.

ROUGE: the words of `lmcore.data.text.words`.  Text in ASCII has the tokens of rouge-score itself
(small letters and digits, Porter stems); rouge-score leaves out all other letters, so that a
Russian summary has no token at all and its own copy a score of 0.

BLEU: `13a`, the tokenizer of published figures, where blanks separate words; `zh` for Chinese;
`char` for Japanese, Thai, Lao, Khmer, Burmese and mixtures of them.  `13a` makes one token of a
whole sentence there, so that all but an exact copy has a score of 0.  The tokenizers of words for
Japanese and Korean need packages with dictionaries and are used where somebody asks for them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import regex

from lmcore.data.text.words import mostly_unspaced, words

#: How ROUGE was computed, as sacrebleu says it of BLEU.
ROUGE_SIGNATURE = f"tok:unicode-words|stem:porter|version:{version('rouge-score')}"
# Characters of the references that are looked at: more would change no majority.
_MAX_CHARACTERS = 1_000_000
_HAN = regex.compile(r"\p{Han}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
# Japanese is a third to two thirds Kana; a brand name in Chinese is none of it.
_JAPANESE = 0.05


class RougeWords:
    """A tokenizer as rouge-score takes it."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self._of_ascii: Any = DefaultTokenizer(use_stemmer=True)

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, whatever its case and normal form."""
        if text.isascii():
            found: list[str] = self._of_ascii.tokenize(text)
            return found
        folded = unicodedata.normalize("NFC", text).casefold().replace("_", " ")
        found = []
        for word in words(unicodedata.normalize("NFC", folded)):
            found += self._of_ascii.tokenize(word) if word.isascii() else [word]
        return found


def bleu_tokenizer(references: Sequence[str]) -> str:
    """Name of the tokenizer of sacrebleu that suits most of the references."""
    text = "\n".join(references)[:_MAX_CHARACTERS]
    if not mostly_unspaced(words(text)):
        return "13a"
    han, kana = len(_HAN.findall(text)), len(_KANA.findall(text))
    others = len(words(text)) - han - kana
    return "zh" if han > others and kana < _JAPANESE * (han + kana) else "char"
