"""The `tokenizer.json` of another model, made safe to use, and the bytes that its tokens spell.

In comes the text of a file that may be hostile; out come a tokenizer of the library and a byte
string for each id.  The record is changed before the library reads it:

* special tokens and the end of a document lose the names that a text could spell, in the
  vocabulary, in the merges and among the added tokens, and keep their ids: a vocabulary of pieces
  (Unigram, or words that are looked up whole) would otherwise find them in text;
* what adds tokens to a text or takes some away (post-processing, truncation, padding) is left out,
  and so is dropout of merges, which is random;
* steps that could make a short text huge are refused.

What a token spells follows from the decoder: byte-level characters (Radford et al. 2019), a mark
for the space and `<0x0A>` for single bytes (Kudo and Richardson 2018, arXiv:1808.06226), `##` for
the inside of a word (Devlin et al. 2018, arXiv:1810.04805).
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tokenizers

from lmcore.counted import counted
from lmcore.data.tokens.library_form import byte_characters

#: Of the file; the largest vocabularies in use take about 35 MB.
MOST_BYTES = 128 << 20
_MOST_IDS = 1 << 22
_MOST_STEPS = 64
# How much longer replacements may make a text, all together.
_MOST_GROWTH = 64
_MODELS = ("BPE", "Unigram", "WordPiece", "WordLevel")
_BYTES = {character: value for value, character in enumerate(byte_characters())}
_MARKS = {"ByteFallback", "Fuse", "Metaspace", "Replace", "Strip"}
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# Steps of normalization after which a text may be another one.
_LOSING = (
    *("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled"),
    *("Replace", "Strip", "StripAccents"),
)
# Steps of pre-tokenization that drop what they cut at.
_DROPPING = ("BertPreTokenizer", "CharDelimiterSplit", "Whitespace", "WhitespaceSplit")

Step = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SpecialToken:
    """A token that no text yields.

    Attributes:
        id: Its id.
        takes_left: Whether it swallows white space before it.
        takes_right: Whether it swallows white space behind it.
    """

    id: int
    takes_left: bool = False
    takes_right: bool = False


@dataclass(frozen=True, kw_only=True)
class BorrowedForm:
    """What a `tokenizer.json` says, fit for any text.

    Attributes:
        backend: The library's tokenizer.
        pieces: Byte string of each id, [V]; empty for special tokens and ids without a token.
        unknown_id: What stands for text that cannot be spelled; None where nothing does.
        spaced: Whether decoding puts a space between tokens, as between words.
        special: Tokens that no text yields, by the names that they came with.
        trims: Whether an added token takes white space beside it away.
        may_lose: Names of the steps after which a text may be another one.
    """

    backend: tokenizers.Tokenizer
    pieces: tuple[bytes, ...]
    unknown_id: int | None
    spaced: bool
    special: Mapping[str, SpecialToken]
    trims: bool
    may_lose: tuple[str, ...]


def read_form(source: str, *, vocab_size: int, end_id: int) -> BorrowedForm:
    """Read a `tokenizer.json`.

    Args:
        source: Its text.
        vocab_size: Ids that the model knows; some may have no token.
        end_id: The token that separates documents.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: If it is none, or does not fit.
        Exception: What the library raises of what it cannot read.
    """
    if not 0 <= end_id < vocab_size <= _MOST_IDS:
        raise ValueError(f"the end token has the id {end_id} of {vocab_size} (most: {_MOST_IDS})")
    record = json.loads(source)
    model = record["model"]
    # Very old files leave the type out, which the library guesses.
    if model.setdefault("type", "BPE") not in _MODELS:
        raise ValueError(f"model.type is {model['type']!r}; expected one of {', '.join(_MODELS)}")
    normalizers = list(_flat(record.get("normalizer")))
    _bounded(normalizers)
    added = [(int(a["id"]), str(a["content"]), a) for a in record.get("added_tokens") or ()]
    silent = {i for i, _, entry in added if entry.get("special")} | {end_id}
    special = {
        name: SpecialToken(
            id=i, takes_left=bool(entry.get("lstrip")), takes_right=bool(entry.get("rstrip"))
        )
        for i, name, entry in added
        if i in silent
    }
    decoders = list(_flat(record.get("decoder")))
    spell = _speller(decoders)
    tokens = _tokens(model)
    beyond = {i: token for i, token in tokens.items() if i not in silent}
    beyond |= {i: token for i, token, _ in added if i not in silent}
    if wrong := [i for i in beyond if not 0 <= i < vocab_size]:
        raise ValueError(
            f"{beyond[max(wrong)]!r} has the id {max(wrong)}, but the model knows {vocab_size} ids"
        )
    pieces = [b""] * vocab_size
    for i, content, _ in added:
        if i not in silent:
            pieces[i] = content.encode()
    for i, token in tokens.items():
        if i not in silent:
            pieces[i] = spell(token)
    unknown_id = _silence(model, tokens, silent)
    # Those of the vocabulary keep their ids without being added, the others only by their order.
    added = [row for row in added if not (row[0] in silent and row[0] in tokens)]
    for i, _, entry in added:
        if i in silent:
            entry.update(content=_name(i), special=True)
    record["added_tokens"] = [entry for _, _, entry in added]
    record.update(truncation=None, padding=None, post_processor=None)
    if model["type"] == "BPE":
        model["dropout"] = None
    backend = _library(record)
    given = backend.get_added_tokens_decoder()
    for i, content, entry in added:
        if i not in given or given[i].content != entry["content"]:
            raise ValueError(f"the added token {content!r} cannot have the id {i}")
    backend.encode_special_tokens = True
    return BorrowedForm(
        backend=backend,
        pieces=tuple(pieces),
        unknown_id=unknown_id,
        spaced=_by_words({step["type"] for step in decoders}),
        special=special,
        trims=any(entry.get("lstrip") or entry.get("rstrip") for _, _, entry in added),
        may_lose=(
            *_may_lose(normalizers, list(_flat(record.get("pre_tokenizer"))), spell),
            *_missing(set(pieces)),
        ),
    )


def sheltered(call: Callable[[], Any]) -> Any:
    """Call the library; where it panics, as over an expression without end, that is an error.

    Raises:
        ValueError: In place of the panic, which no handler of errors would see.
    """
    try:
        return call()
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(str(error)) from error


def _library(record: Mapping[str, Any]) -> tokenizers.Tokenizer:
    source = json.dumps(record)
    made = sheltered(lambda: tokenizers.Tokenizer.from_str(source))
    assert isinstance(made, tokenizers.Tokenizer)
    return made


def _name(i: int) -> str:
    """What a token is called that no text spells: NUL is in no document."""
    return f"\0{i}"


def _tokens(model: Mapping[str, Any]) -> dict[int, str]:
    if model["type"] == "Unigram":
        return {i: str(token) for i, (token, _) in enumerate(model["vocab"])}
    found = {int(i): str(token) for token, i in model["vocab"].items()}
    if len(found) != len(model["vocab"]):
        raise ValueError("two tokens have the same id")
    return found


def _silence(model: dict[str, Any], tokens: Mapping[int, str], silent: set[int]) -> int | None:
    """Rename tokens of the vocabulary; returns the id of the one for unknown text."""
    if model["type"] == "Unigram":
        vocabulary = [
            ["" if i in silent else token, score]  # which nothing is a piece of
            for i, (token, score) in enumerate(model["vocab"])
        ]
        unknown = model.get("unk_id")
        model["vocab"] = vocabulary
        return None if unknown is None else int(unknown)
    lost = {tokens[i] for i in silent if i in tokens}
    model["vocab"] = {_name(i) if i in silent else token: i for i, token in tokens.items()}
    if model["type"] == "BPE":
        inside = model.get("continuing_subword_prefix") or ""
        model["merges"] = [
            merge for merge in model["merges"] if lost.isdisjoint(_merged(merge, inside))
        ]
    unknown_token = model.get("unk_token")
    for i, token in tokens.items():
        if token == unknown_token:
            if i in silent:
                model["unk_token"] = _name(i)
            return i
    return None


def _merged(merge: Any, inside: str) -> tuple[str, str, str]:
    """The two parts of a merge and what they become."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second, first + second.removeprefix(inside)


def _flat(step: Any) -> Iterator[Step]:
    """Steps of a normalizer, pre-tokenizer or decoder, in order."""
    if step is None:
        return
    if step["type"] != "Sequence":
        yield step
        return
    for key in ("normalizers", "pretokenizers", "decoders"):
        for part in step.get(key, ()):
            yield from _flat(part)


def _bounded(normalizers: list[Step]) -> None:
    """Refuse steps that together make a text much longer."""
    added = (str(step.get("content", step.get("prepend", ""))) for step in normalizers)
    growth = math.prod(max(1, len(content)) for content in added)
    if len(normalizers) > _MOST_STEPS or growth > _MOST_GROWTH:
        raise ValueError(
            f"normalization in {counted(len(normalizers), 'step')} makes a text up to {growth:.3g}"
            f" times as long; expected at most {_MOST_STEPS} steps and {_MOST_GROWTH} times"
        )


def _speller(decoders: list[Step]) -> Callable[[str], bytes]:
    """How a token becomes bytes."""
    kinds = {step["type"] for step in decoders}
    if "ByteLevel" in kinds:
        return _byte_level
    if unknown := sorted(kinds - _MARKS - {"WordPiece"}):
        raise ValueError(f"its decoder {unknown[0]} is not known")
    if _by_words(kinds):
        inside = next((str(step["prefix"]) for step in decoders if "prefix" in step), None)
        return functools.partial(_of_words, inside=inside)
    replaced = [
        (str(step["pattern"]["String"]), str(step["content"]))
        for step in decoders
        if step["type"] == "Replace"
    ]
    replaced += [(str(s["replacement"]), " ") for s in decoders if s["type"] == "Metaspace"]
    return functools.partial(_marked, replaced=replaced, by_byte="ByteFallback" in kinds)


def _by_words(decoders: set[str]) -> bool:
    return not decoders or "WordPiece" in decoders


def _byte_level(token: str) -> bytes:
    try:
        return bytes([_BYTES[character] for character in token])
    except KeyError:
        return token.encode()  # a token that was never written in byte-level characters


def _of_words(token: str, *, inside: str | None) -> bytes:
    if inside and token.startswith(inside):
        return token.removeprefix(inside).encode()
    return f" {token}".encode()


def _marked(token: str, *, replaced: list[tuple[str, str]], by_byte: bool) -> bytes:
    if by_byte and (found := _BYTE.fullmatch(token)):
        return bytes([int(found[1], 16)])
    for mark, content in replaced:
        token = token.replace(mark, content)
    return token.encode()


def _may_lose(
    normalizers: list[Step], cutters: list[Step], spell: Callable[[str], bytes]
) -> tuple[str, ...]:
    found = [step["type"] for step in normalizers if not _undone(step, spell)]
    dropping = (s for s in cutters if s["type"] in _DROPPING or s.get("behavior") == "Removed")
    found += [step["type"] for step in dropping]
    return tuple(dict.fromkeys(found))


def _missing(pieces: set[bytes]) -> tuple[str, ...]:
    """Which bytes no text can be spelled with; a vocabulary may lack some that are rare."""
    # 0xC0, 0xC1 and those from 0xF5 up are in no UTF-8.
    used = (value for value in range(0xF5) if value not in (0xC0, 0xC1))
    missing = sum(bytes([value]) not in pieces for value in used)
    return (f"{counted(missing, 'byte')} without a token",) if missing else ()


def _undone(normalizer: Step, spell: Callable[[str], bytes]) -> bool:
    """Whether decoding takes back what a step of normalization does."""
    if normalizer["type"] != "Replace":
        return normalizer["type"] not in _LOSING
    pattern = normalizer["pattern"].get("String")
    return pattern is not None and spell(normalizer["content"]) == str(pattern).encode()
