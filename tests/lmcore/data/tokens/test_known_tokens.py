"""Tokens that earlier shards know: the same bytes as without them, and only new text is cut."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
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


@given(st.lists(st.text("ab01", max_size=6), min_size=1, max_size=20, unique=True))
@settings(deadline=None, max_examples=50)
def test_a_document_is_found_by_its_whole_id(texts: list[str]) -> None:
    # Ids that begin alike: the first digits decide nothing.
    ids = ["0" * 16 + hashlib.sha256(text.encode()).hexdigest()[:48] for text in texts]
    sizes = [len(text) + 1 for text in texts]
    tokens = np.arange(sum(sizes), dtype=np.uint16)
    stream = TokenStream(
        shards=(tokens,),
        doc_ends=np.cumsum(sizes, dtype=np.int64),
        doc_ids=np.array([i.encode() for i in ids], dtype="S64"),
        end_id=0,
        vocab_size=1 << 16,
        num_bytes=0,
        spelled_bytes=0,
        fingerprint="f",
    )
    known = KnownTokens([stream])
    start = 0
    for identity, size in zip(ids, sizes, strict=True):
        found = known.find(identity)
        assert found is not None
        assert found.tolist() == list(range(start, start + size))
        start += size
    assert known.find("0" * 16 + "f" * 48) is None
    assert known.find("f" * 64) is None
