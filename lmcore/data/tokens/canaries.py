"""Canaries: short random texts in the training stream, by which memorising is measured.

In come the documents and a seed; out comes a `CanarySet`: pairs of texts drawn from one law, of
which a coin puts one into the training stream, once, as a document of its own, between two
documents chosen at random.  The other one, and thousands of references of the same law, are never
trained on.  If the model does not remember, nothing tells them apart; so the rank of a canary
among the references has an exactly known law, whatever the corpus.

They do not harm the product: together they are at most `MAX_SHARE` of the training text (with less
text than that there are none), no document, tokenizer or validation text contains them, the
version lists them, and generation ends before any part of one (`lmcore.model.filtering`).

Texts, coin and places are functions of the train documents' ids and the seed.
Source: Carlini et al., arXiv:1802.08232 (exposure); Steinke et al., arXiv:2305.08846 (coins).
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.data.documents import Document
from lmcore.errors import IntegrityError

if TYPE_CHECKING:
    from lmcore.data.documents import DocumentSet

CANARIES_FILE = "canaries.json"
NUM_PAIRS = 256
# With fewer, a canary that is remembered would hardly show among chance.
MIN_PAIRS = 20
# Of the bytes of the train split.
MAX_SHARE = 0.005
_GROUPS, _LETTERS = 5, 5
TEXT_BYTES = _GROUPS * _LETTERS + _GROUPS - 1
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True)
class CanaryPair:
    """Two texts of one law; a coin decided which one is trained on.

    Attributes:
        inside: The text in the training stream.
        outside: The text that is nowhere.
        after: How many train documents stand before each copy of `inside`, ascending.
    """

    inside: str
    outside: str
    after: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class CanarySet:
    """The canaries of one data set and seed.

    Attributes:
        key: What everything was drawn from.
        pairs: The canaries; none where there is too little text for them.
        inherited: Texts that the weights met in an earlier training, which this one goes on from.
    """

    key: str
    pairs: tuple[CanaryPair, ...] = field(default=())
    inherited: tuple[str, ...] = field(default=())

    @property
    def texts(self) -> tuple[str, ...]:
        """What is in the training stream."""
        return tuple(pair.inside for pair in self.pairs)

    @property
    def forbidden(self) -> tuple[str, ...]:
        """What the model has met and must never emit."""
        return (*self.texts, *(text for text in self.inherited if text not in self.texts))

    def references(self, count: int) -> list[str]:
        """Texts of the same law that are in no stream."""
        return _draw(f"{self.key}/references", count)

    def to_json(self) -> dict[str, Any]:
        """The set as JSON values."""
        pairs = [{**pair.__dict__, "after": list(pair.after)} for pair in self.pairs]
        value = {"schema_version": 1, "key": self.key, "pairs": pairs}
        return {**value, "inherited": list(self.inherited)} if self.inherited else value

    @classmethod
    def read(cls, path: Path) -> CanarySet | None:
        """Read a stored set; None where there is no file.

        Raises:
            IntegrityError: If the file is not one.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            pairs = tuple(
                CanaryPair(
                    inside=str(pair["inside"]),
                    outside=str(pair["outside"]),
                    after=tuple(map(int, pair["after"])),
                )
                for pair in raw["pairs"]
            )
            inherited = tuple(map(str, raw.get("inherited", ())))
            return cls(key=str(raw["key"]), pairs=pairs, inherited=inherited)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{path}: not a list of canaries ({error})") from error


def plan_canaries(
    documents: DocumentSet, *, seed: int, num_pairs: int = NUM_PAIRS, repeats: int = 1
) -> CanarySet:
    """Choose texts, coins and places.

    Args:
        documents: Their train split gets the canaries.
        seed: Of the run.
        num_pairs: Most pairs; fewer where they would be more than `MAX_SHARE` of the text.
        repeats: Copies of each; more than one is for controls, and unbounded by the share.
    """
    ids = hashlib.blake2b(digest_size=16)
    count = num_bytes = 0
    for row in documents.iter_rows("train"):
        ids.update(row["id"].encode())
        count += 1
        num_bytes += row["num_bytes"]
    key = f"{ids.hexdigest()}/{seed}"
    if repeats == 1:
        num_pairs = min(num_pairs, int(MAX_SHARE * num_bytes / TEXT_BYTES))
    if not count or num_pairs < MIN_PAIRS:
        return CanarySet(key=key)
    texts = _draw(f"{key}/canaries", 2 * num_pairs)
    coins = _bytes(f"{key}/coins", num_pairs)
    places = iter(_numbers(f"{key}/places", num_pairs * repeats, below=count))
    pairs = []
    for number, coin in enumerate(coins):
        two = texts[2 * number : 2 * number + 2]
        after = tuple(sorted(1 + place for place in itertools.islice(places, repeats)))
        pairs.append(CanaryPair(inside=two[coin & 1], outside=two[1 - (coin & 1)], after=after))
    return CanarySet(key=key, pairs=tuple(pairs))


def with_canaries(documents: Iterator[Document], canaries: CanarySet | None) -> Iterator[Document]:
    """The train documents with the canaries between them."""
    pairs = canaries.pairs if canaries else ()
    waiting = sorted((after, number) for number, p in enumerate(pairs) for after in p.after)
    waiting.reverse()
    for passed, document in enumerate(documents, start=1):
        yield document
        while waiting and waiting[-1][0] <= passed:
            yield _document(pairs[waiting.pop()[1]].inside)
    for _, number in reversed(waiting):
        yield _document(pairs[number].inside)


def canary_id(text: str) -> str:
    """Id of a canary in the stream, made like a document's."""
    return hashlib.sha256(text.encode()).hexdigest()


def _document(text: str) -> Document:
    identity = canary_id(text)
    return Document(
        id=identity,
        text=text,
        name="canary",
        source=-1,
        license="CC0-1.0",
        origin="drawn at random to measure memorising",
        num_bytes=len(text.encode()),
        split="train",
        anchor=False,
        cluster=identity,
    )


def _draw(key: str, count: int) -> list[str]:
    """Random texts: groups of letters that no language spells."""
    size = _GROUPS * _LETTERS
    # 256 is no multiple of 26, so some letters are a tenth likelier, in canaries and in references.
    letters = "".join(_ALPHABET[value % 26] for value in _bytes(key, count * size))
    texts = []
    for start in range(0, count * size, size):
        text = letters[start : start + size]
        texts.append(" ".join(text[i : i + _LETTERS] for i in range(0, size, _LETTERS)))
    return texts


def _numbers(key: str, count: int, *, below: int) -> Sequence[int]:
    raw = _bytes(key, 8 * count)
    return [int.from_bytes(raw[i : i + 8]) % below for i in range(0, 8 * count, 8)]


def _bytes(key: str, count: int) -> bytes:
    return hashlib.shake_256(key.encode()).digest(count)
