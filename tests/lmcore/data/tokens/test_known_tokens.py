"""Tokens that earlier shards know: the same bytes as without them, and only new text is cut."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens import vocabularies
from lmcore.data.tokens.known_tokens import KnownTokens
from lmcore.data.tokens.shards import write_shards
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.data.tokens.tokenizer import TokenizerHandle, fit_tokenizer


@dataclass(frozen=True)
class Text:
    text: str

    @property
    def id(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def num_bytes(self) -> int:
        return len(self.text.encode())


class Texts:
    """A set of documents as far as shards ask."""

    def __init__(self, train: list[str], tune: list[str]) -> None:
        self.splits = {"train": train, "tune": tune}
        self.key = hashlib.sha256(repr(self.splits).encode()).hexdigest()

    def num_bytes(self, *splits: str) -> int:
        return sum(text.num_bytes for text in self.iter_documents(*splits))

    def iter_documents(self, *splits: str) -> Iterator[Text]:
        for split in splits:
            yield from map(Text, self.splits[split])


FIRST = Texts([f"text number {n} of many" for n in range(40)], ["one to tune by", "another"])
# Some are gone, some are new, one has changed sides, and the order is another.
SECOND = Texts(
    ["new ones first", *(f"text number {n} of many" for n in range(39, 3, -1)), "another", "last"],
    ["one to tune by", "and a new one to tune by"],
)


def tokenizer(store: ContentStore, texts: Any = FIRST) -> TokenizerHandle:
    return fit_tokenizer(store, texts, config=TokenizerConfig(kind="bpe", vocab_size=300))


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.suffix == ".npy"}


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were cut."""
    seen: list[str] = []
    encode = vocabularies.BpeTokenizer.encode_arrays

    def counting(self: Any, texts: Any) -> Any:
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(vocabularies.BpeTokenizer, "encode_arrays", counting)
    return seen


def test_new_text_alone_is_cut_and_the_bytes_are_those_of_a_cold_start(
    tmp_path: Path, cut: list[str]
) -> None:
    warm, cold = ContentStore(tmp_path / "warm"), ContentStore(tmp_path / "cold")
    write_shards(warm, FIRST, tokenizer(warm))  # type: ignore[arg-type]
    cut.clear()
    found = write_shards(warm, SECOND, tokenizer(warm))  # type: ignore[arg-type]
    assert cut == ["new ones first", "last", "and a new one to tune by"]
    expected = write_shards(cold, SECOND, tokenizer(cold))  # type: ignore[arg-type]
    assert found.key == expected.key
    assert content(found.path) == content(expected.path)
    assert found.summary == expected.summary


def test_another_tokenizer_knows_nothing(tmp_path: Path, cut: list[str]) -> None:
    store = ContentStore(tmp_path)
    write_shards(store, FIRST, tokenizer(store))  # type: ignore[arg-type]
    cut.clear()
    write_shards(store, FIRST, tokenizer(store, SECOND))  # type: ignore[arg-type]
    assert len(cut) == 42


def test_damaged_shards_are_not_believed(tmp_path: Path, cut: list[str]) -> None:
    store = ContentStore(tmp_path / "warm")
    first = write_shards(store, FIRST, tokenizer(store))  # type: ignore[arg-type]
    path = first.path / "train-00000.npy"
    damaged = bytearray(path.read_bytes())
    damaged[-3] ^= 1
    path.chmod(0o644)
    path.write_bytes(damaged)
    cut.clear()
    found = write_shards(store, SECOND, tokenizer(store))  # type: ignore[arg-type]
    assert len(cut) == len(SECOND.splits["train"]) + len(SECOND.splits["tune"])
    cold = ContentStore(tmp_path / "cold")
    expected = write_shards(cold, SECOND, tokenizer(cold))  # type: ignore[arg-type]
    assert content(found.path) == content(expected.path)


def stream_of(ids: list[str], *, first: int) -> TokenStream:
    """A document for each id, of one token to seven; tokens are numbers from the first one up."""
    sizes = [1 + int(identity[-1], 16) % 7 for identity in ids]
    return TokenStream(
        shards=(np.arange(first, first + sum(sizes), dtype=np.uint16),),
        doc_ends=np.cumsum(sizes, dtype=np.int64),
        doc_ids=np.array([i.encode() for i in ids], dtype="S64"),
        end_id=0,
        vocab_size=1 << 16,
        num_bytes=0,
        spelled_bytes=0,
        fingerprint="f",
    )


# Ids of which many begin alike: the first digits decide nothing.
SOME_IDS = st.lists(
    st.tuples(
        st.sampled_from(["0" * 16, "0123456789abcdef", "f" * 16]), st.text("ab01", max_size=6)
    ),
    max_size=20,
    unique=True,
).map(lambda pairs: [a + hashlib.sha256(b.encode()).hexdigest()[:48] for a, b in pairs])


@given(SOME_IDS, SOME_IDS, SOME_IDS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_documents_are_found_by_their_whole_ids_in_any_order(
    first: list[str], second: list[str], others: list[str], random: Random
) -> None:
    streams = [stream_of(first, first=0), stream_of(second, first=1000)]
    expected: dict[str, list[int]] = {}
    for stream, start in zip(streams[::-1], (1000, 0), strict=True):
        ends = [start + int(end) for end in stream.doc_ends]
        for identity, begin, end in zip(stream.doc_ids, [start, *ends], ends, strict=False):
            expected[identity.decode()] = list(range(begin, end))
    wanted = [*first, *second, *others]
    for _ in range(2):
        found = KnownTokens(streams).find_all(wanted)
        assert [None if t is None else t.tolist() for t in found] == [
            expected.get(identity) for identity in wanted
        ]
        random.shuffle(wanted)


class Unread(list[str]):
    """Ids that nobody may look at."""

    def __getitem__(self, _: Any) -> Any:
        raise AssertionError

    def __iter__(self) -> Any:
        raise AssertionError


def test_where_nothing_is_known_no_id_is_looked_at() -> None:
    assert KnownTokens().find_all(Unread(["0" * 64] * 3)) == [None] * 3
