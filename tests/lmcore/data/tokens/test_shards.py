from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import library_tokenizers as library
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens import shards as shards_module
from lmcore.data.tokens import token_stream
from lmcore.data.tokens import tokenizer as tokenizer_module
from lmcore.data.tokens.canaries import CanaryPair, CanarySet, canary_id
from lmcore.data.tokens.known_tokens import substance_of
from lmcore.data.tokens.shards import write_shards, write_split
from lmcore.data.tokens.token_stream import TokenStream, open_stream
from lmcore.data.tokens.tokenizer import Tokenizer, fit_tokenizer, load_tokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer, WordTokenizer
from lmcore.errors import IntegrityError, SourceError


@dataclass(frozen=True)
class FakeDocument:
    id: str
    text: str

    @property
    def num_bytes(self) -> int:
        return len(self.text.encode())


class FakeDocuments:
    key = "documents-key"

    def __init__(self, **texts: list[str]) -> None:
        self.texts = texts

    def num_bytes(self, *splits: str) -> int:
        return sum(document.num_bytes for document in self.iter_documents(*splits))

    def iter_documents(self, *splits: str) -> Iterator[FakeDocument]:
        for split in splits:
            for number, text in enumerate(self.texts.get(split, [])):
                yield FakeDocument(f"{number:064x}", text)


def stream_of(tmp_path: Path, texts: list[str], *, shard_tokens: int = 1 << 26) -> TokenStream:
    facts = write_split(
        tmp_path,
        split="train",
        documents=FakeDocuments(train=texts).iter_documents("train"),  # type: ignore[arg-type]
        tokenizer=ByteTokenizer(),
        shard_tokens=shard_tokens,
    )
    (tmp_path / "index.json").write_text(
        _json({"end_id": 256, "vocab_size": 257, "splits": {"train": facts}})
    )
    return open_stream(tmp_path, split="train", fingerprint="f")


def _json(value: dict[str, Any]) -> str:
    return str(value).replace("'", '"')


@given(
    texts=st.lists(st.text(max_size=20), min_size=1, max_size=12), shard_tokens=st.integers(1, 30)
)
@settings(deadline=None, max_examples=50)
def test_stream_is_the_documents_with_end_tokens_however_it_is_sharded(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], shard_tokens: int
) -> None:
    stream = stream_of(tmp_path_factory.mktemp("s"), texts, shard_tokens=shard_tokens)
    expected = [value for text in texts for value in (*text.encode(), 256)]
    assert stream.read(0, len(stream)).tolist() == expected
    assert max(len(shard) for shard in stream.shards) <= shard_tokens
    starts = np.concatenate([[0], stream.doc_ends[:-1]])
    for text, start, end in zip(texts, starts, stream.doc_ends, strict=True):
        assert bytes(stream.read(start, end - 1).astype(np.uint8)).decode() == text
    for start in range(0, len(stream), 3):
        assert stream.read(start, min(start + 7, len(stream))).tolist() == expected[start:][:7]


def test_ranges_map_to_documents(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, ["ab", "", "c"])  # a b E E c E
    assert stream.doc_ends.tolist() == [3, 4, 6]
    assert list(stream.documents(0, 3)) == [0]
    assert list(stream.documents(2, 5)) == [0, 1, 2]
    assert list(stream.documents(4, 6)) == [2]
    assert list(stream.documents(5, 5)) == []
    assert stream.doc_ids[2] == f"{2:064x}".encode()


def test_frequencies_count_every_token_or_evenly_spaced_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = stream_of(tmp_path, ["ab", "", "ca"])  # a b E E c a E
    counts = stream.frequencies(300)
    assert counts[[ord("a"), ord("b"), ord("c"), stream.end_id]].tolist() == [2, 1, 1, 3]
    assert counts.sum() == len(stream)
    monkeypatch.setattr(token_stream, "_COUNTED_TOGETHER", 2)
    monkeypatch.setattr(token_stream, "_COUNTED_PARTS", 2)
    parts = stream.frequencies(300)  # a b, c a
    assert parts[[ord("a"), ord("b"), ord("c"), stream.end_id]].tolist() == [2, 1, 1, 0]


def test_reading_outside_is_an_error(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, ["ab"])
    with pytest.raises(IndexError, match="0:9"):
        stream.read(0, 9)
    assert stream.read(3, 3).tolist() == []


def test_tokens_are_memory_mapped_in_the_smallest_type(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, ["ab"])
    assert isinstance(stream.shards[0], np.memmap)
    assert stream.shards[0].dtype == np.uint16
    words = WordTokenizer([f"{number:06d}" for number in range(1 << 16)])
    documents = FakeDocuments(big=["065535"]).iter_documents("big")
    write_split(tmp_path, split="big", documents=documents, tokenizer=words)  # type: ignore[arg-type]
    assert np.load(tmp_path / "big-00000.npy").dtype == np.uint32
    assert np.load(tmp_path / "big-00000.npy").tolist() == [256 + 65535, words.end_id]


def test_shard_set_counts_its_splits(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    documents: Any = FakeDocuments(train=["abc", "ß"], tune=["x"], validation=["never read"])
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    shards = write_shards(store, documents, tokenizer)
    assert shards.summary == {
        "tokenizer_substance": substance_of(tokenizer),
        "train_tokens": 7,
        "train_documents": 2,
        "train_bytes": 5,
        "tune_tokens": 2,
        "tune_documents": 1,
        "tune_bytes": 1,
        "bytes_per_token": 5 / 7,
    }
    assert shards.stream("tune").read(0, 2).tolist() == [ord("x"), 256]
    assert shards.stream("train").fingerprint == shards.stream("train").fingerprint
    assert shards.stream("train").fingerprint != shards.stream("tune").fingerprint
    assert write_shards(store, documents, tokenizer).path == shards.path


def test_an_empty_tune_split_is_an_empty_stream(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    documents: Any = FakeDocuments(train=["abc"])
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    stream = write_shards(store, documents, tokenizer).stream("tune")
    assert len(stream) == 0
    assert stream.read(0, 0).tolist() == []


def test_empty_train_split_is_the_users_error(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    full: Any = FakeDocuments(train=["abc"])
    tokenizer = fit_tokenizer(store, full, config=TokenizerConfig(kind="byte"))
    empty: Any = FakeDocuments(train=[])
    with pytest.raises(SourceError, match="nothing to train on"):
        write_shards(store, empty, tokenizer)


@pytest.mark.parametrize("name", ["train-00000.npy", "train.ends.npy", "index.json"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    stream_of(tmp_path, ["abcdefgh"])
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(IntegrityError, match="nothing was loaded"):
        open_stream(tmp_path, split="train", fingerprint="f")


def test_canaries_stand_in_train_alone_and_are_listed(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    documents: Any = FakeDocuments(train=["abc", "de"], tune=["x"], validation=[])
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    pair = CanaryPair(inside="qzvkm", outside="tpxrd", after=(1,))
    canaries = CanarySet(key="k", pairs=(pair,))
    shards = write_shards(store, documents, tokenizer, canaries=canaries)
    stream = shards.stream("train")
    loaded = tokenizer.load()
    text = "|".join(
        loaded.decode(stream.read(int(start), int(stop) - 1))
        for start, stop in zip([0, *stream.doc_ends[:-1]], stream.doc_ends, strict=True)
    )
    assert text == "abc|qzvkm|de"
    assert bytes(stream.doc_ids[1]).decode() == canary_id("qzvkm")
    assert len(shards.stream("tune").doc_ends) == 1
    assert shards.canaries() == canaries
    assert shards.summary["canaries"] == 1
    plain = write_shards(store, documents, tokenizer)
    assert plain.key != shards.key
    assert plain.canaries() is None


def test_documents_are_counted_and_canaries_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards_module, "_REPORT_EVERY", 1)
    store = ContentStore(tmp_path)
    documents: Any = FakeDocuments(train=["abc", "de"], tune=["x"], validation=[])
    documents.summary = {"train_documents": 2, "tune_documents": 1}
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    pair = CanaryPair(inside="qzvkm", outside="tpxrd", after=(1,))
    told: list[tuple[str, int, int]] = []
    write_shards(
        store,
        documents,
        tokenizer,
        canaries=CanarySet(key="k", pairs=(pair,)),
        on_progress=lambda split, done, total: told.append((split, done, total)),
    )
    assert told == [("train", 0, 2), ("train", 1, 2), ("tune", 0, 1)]


def test_the_tokenizer_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ContentStore(tmp_path)
    documents: Any = FakeDocuments(train=["abc", "de"], tune=["x"])
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="bpe", vocab_size=300))
    loaded: list[Path] = []

    def load(folder: Path) -> Tokenizer:
        loaded.append(folder)
        return load_tokenizer(folder)

    monkeypatch.setattr(tokenizer_module, "load_tokenizer", load)
    write_shards(store, documents, tokenizer)
    assert loaded == [tokenizer.path]


def test_bytes_are_those_of_the_documents_whatever_the_tokens_stand_for(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "store")
    texts = FakeDocuments(train=["a cat", "the cat"], tune=["e\u0301 the"])
    for made, train, tune in (
        (library.byte_level(), 12, 7),
        # A space before each text.
        (library.byte_fallback(), 14, 8),
        # A normal form of Unicode: two characters of three bytes become one of two.
        (library.lowering(), 12, 6),
    ):
        handle = library.borrow(store, made, name=f"base-{train}-{tune}")
        written = write_shards(store, texts, handle)  # type: ignore[arg-type]
        found = [written.stream(split) for split in ("train", "tune")]
        assert [stream.num_bytes for stream in found] == [12, 7]
        assert [stream.spelled_bytes for stream in found] == [train, tune]
        assert found[1].bytes_per_spelled == 7 / tune
        assert found[0].vocab_size == handle.summary["vocab_size"]


def test_streams_that_were_written_before_bytes_were_counted_twice(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, ["one", "two"])
    index = (tmp_path / "index.json").read_text()
    assert "'spelled_bytes': 6".replace("'", '"') in index
    (tmp_path / "index.json").write_text(index.replace('"spelled_bytes"', '"other"'))
    again = open_stream(tmp_path, split="train", fingerprint="f")
    assert again.spelled_bytes == stream.spelled_bytes == 6
    assert again.bytes_per_spelled == 1.0
