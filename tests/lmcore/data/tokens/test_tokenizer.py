import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.artifacts import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens import tokenizer as module
from lmcore.data.tokens import vocabularies
from lmcore.data.tokens.tokenizer import (
    Tokenizer,
    fit_tokenizer,
    load_tokenizer,
    train_tokenizer,
)
from lmcore.data.tokens.vocabularies import (
    BpeTokenizer,
    ByteTokenizer,
    CharTokenizer,
    WordTokenizer,
)
from lmcore.errors import IntegrityError, SourceError, UserError

CORPUS = [
    "The quick brown fox jumps over the lazy dog. " * 5,
    "Größe und Maß: naïve café, 東京 and 🦊 foxes.\n\n  Indented\tline \n",
    " = Title = \n \n The word word the . \n",
]
KINDS = ("byte", "char", "word", "bpe")


def make(kind: str, vocab_size: int = 300) -> Tokenizer:
    config = TokenizerConfig.model_validate({"kind": kind, "vocab_size": vocab_size})
    return train_tokenizer(CORPUS, config=config)


TOKENIZERS = {kind: make(kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param]


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text() | st.text(alphabet=" \n\t\r\x00ab'1.ß東🦊 \u2028\u0301<|end|>"))
@settings(deadline=None, max_examples=150)
def test_every_text_survives_and_spells_no_end_token(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(0 <= token < tokenizer.end_id for token in ids)
    assert tokenizer.encode_batch([text, "", text]) == [ids, [], ids]


@pytest.mark.parametrize(
    "text",
    ["<|endoftext|>", "</s>", "[END]", "<s><pad><unk>", "\x00\x00", "\ufeffx", "a\r\nb\u2029"],
)
def test_text_that_looks_special_is_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.end_id not in tokenizer.encode(text)


def test_end_token_is_the_last_id_and_stands_for_nothing(tokenizer: Tokenizer) -> None:
    assert tokenizer.end_id == tokenizer.vocab_size - 1 == len(tokenizer.pieces) - 1
    assert tokenizer.pieces[-1] == b""
    assert tokenizer.decode([tokenizer.end_id, *tokenizer.encode("a"), tokenizer.end_id]) == "a"


def test_pieces_are_the_bytes_of_the_text(tokenizer: Tokenizer) -> None:
    text = "Maß, 東京 🦊 unknown-word\n"
    pieces = [tokenizer.pieces[token] for token in tokenizer.encode(text)]
    assert b"".join(pieces) == text.encode()


def test_broken_utf8_decodes_to_replacement_characters() -> None:
    assert ByteTokenizer().decode([0xE6, 0x41, 0xFF]) == "\ufffdA\ufffd"


def test_half_a_surrogate_pair_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match=r"U\+D800 at position 1"):
        tokenizer.encode("a\ud800")


def test_byte_tokens_are_bytes() -> None:
    assert ByteTokenizer().encode("aß") == [97, 0xC3, 0x9F]
    assert ByteTokenizer().vocab_size == 257


def test_char_keeps_ascii_on_its_bytes_and_unknown_characters_as_bytes() -> None:
    tokenizer = train_tokenizer(["ßßé"], config=TokenizerConfig(kind="char", vocab_size=258))
    assert tokenizer.vocab_size == 258
    assert tokenizer.encode("aßé") == [97, 256, 0xC3, 0xA9]


def test_words_count_one_token_a_word_and_one_a_line() -> None:
    text = " = Title = \n \n The word , word \n"
    tokenizer = train_tokenizer([text], config=TokenizerConfig(kind="word", vocab_size=400))
    pieces = [tokenizer.pieces[token].decode() for token in tokenizer.encode(text)]
    expected = [" =", " Title", " =", " \n", " \n", " The", " word", " ,", " word", " \n"]
    assert pieces == expected
    assert tokenizer.decode(tokenizer.encode(" wxyz  The\n")) == " wxyz  The\n"


def test_ties_are_broken_by_the_piece_itself() -> None:
    config = TokenizerConfig(kind="word", vocab_size=258)
    for text in ("bb aa", "aa bb"):
        tokenizer = train_tokenizer([f"  {text} {text}"], config=config)
        assert tokenizer.pieces[256] == min(b" aa", b" bb")


def test_bpe_vocabulary_size_includes_the_end_token() -> None:
    tokenizer = make("bpe", 280)
    assert tokenizer.vocab_size == 280
    assert len(TOKENIZERS["bpe"].encode("The quick brown fox")) < len("The quick brown fox")


def test_bpe_fit_is_deterministic() -> None:
    assert make("bpe").pieces == make("bpe").pieces


def test_bpe_of_a_tiny_corpus_stops_early() -> None:
    tokenizer = train_tokenizer(["ab"], config=TokenizerConfig(kind="bpe", vocab_size=1024))
    assert tokenizer.vocab_size == 258
    assert tokenizer.decode(tokenizer.encode("ab 🦊")) == "ab 🦊"


def test_long_text_in_parts_encodes_as_the_library_does_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = TOKENIZERS["bpe"]
    assert isinstance(tokenizer, BpeTokenizer)
    text = ("It's the fox's 42 tails, isn't it?  \n\n Große " * 200).strip()
    whole = tokenizer._backend.encode(text, add_special_tokens=False).ids
    monkeypatch.setattr(vocabularies, "_PART_CHARACTERS", 300)
    assert tokenizer.encode(text) == whole


_SCRAPS = (
    *(" a", " 10", " ;", " –", " да", "'s", " 's", "  x", "\n", "\t", " \x1c", "\x1cy", "\xa0z"),
    *(" 東京", " \u2028", "\x85 b", " \n ", "é", " _", "_1"),
)


@given(scraps=st.lists(st.sampled_from(_SCRAPS), min_size=150, max_size=400))
@settings(deadline=None, max_examples=60)
def test_parts_are_cut_where_the_library_cuts(scraps: list[str]) -> None:
    tokenizer = TOKENIZERS["bpe"]
    assert isinstance(tokenizer, BpeTokenizer)
    text = "".join(scraps)
    whole = tokenizer._backend.encode(text, add_special_tokens=False).ids
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabularies, "_PART_CHARACTERS", 300)
        assert tokenizer.encode(text) == whole


def test_text_without_a_safe_cut_still_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "_PART_CHARACTERS", 300)
    text = "東京\n" * 500 + " " * 1000 + "a" * 1000
    assert TOKENIZERS["bpe"].decode(TOKENIZERS["bpe"].encode(text)) == text


def test_saved_and_loaded_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json"}
    loaded = load_tokenizer(tmp_path)
    assert loaded.kind == tokenizer.kind
    assert loaded.pieces == tokenizer.pieces
    assert loaded.encode(CORPUS[1]) == tokenizer.encode(CORPUS[1])


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "bpe"}', '{"schema_version": 2}'])
def test_a_damaged_vocabulary_is_refused(tmp_path: Path, content: str) -> None:
    TOKENIZERS["bpe"].save(tmp_path)
    (tmp_path / "vocabulary.json").write_text(content)
    with pytest.raises(IntegrityError, match="nothing was loaded"):
        load_tokenizer(tmp_path)


def test_an_unparsable_bpe_file_is_refused(tmp_path: Path) -> None:
    TOKENIZERS["bpe"].save(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)


def test_a_bpe_file_with_a_special_token_is_refused(tmp_path: Path) -> None:
    TOKENIZERS["bpe"].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    backend = tokenizers.Tokenizer.from_file(str(path))
    backend.add_special_tokens(["<|end|>"])
    path.write_text(backend.to_str())
    with pytest.raises(IntegrityError, match="special tokens"):
        load_tokenizer(tmp_path)


def test_a_bpe_file_of_another_size_is_refused(tmp_path: Path) -> None:
    TOKENIZERS["bpe"].save(tmp_path)
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "vocab_size": 999}))
    with pytest.raises(IntegrityError, match="999"):
        load_tokenizer(tmp_path)


@dataclass(frozen=True)
class FakeDocument:
    id: str
    text: str

    @property
    def num_bytes(self) -> int:
        return len(self.text.encode())


class FakeDocuments:
    key = "documents-key"

    def __init__(self, texts: dict[str, list[str]]) -> None:
        self.texts = texts

    def num_bytes(self, *splits: str) -> int:
        return sum(len(text.encode()) for split in splits for text in self.texts[split])

    def iter_documents(self, *splits: str) -> Iterator[FakeDocument]:
        for split in splits:
            for number, text in enumerate(self.texts[split]):
                yield FakeDocument(f"{(number * 0x9E3779B9) % (1 << 32):08x}{split}", text)


def test_fitting_reads_train_only_and_says_so(tmp_path: Path) -> None:
    config = TokenizerConfig(kind="char", vocab_size=300)
    documents = FakeDocuments({"train": ["ßß"], "validation": ["é" * 50]})
    handle = fit_tokenizer(ContentStore(tmp_path), documents, config=config)  # type: ignore[arg-type]
    assert handle.load().pieces[256:-1] == ("ß".encode(),)
    assert handle.summary["split"] == "train"
    assert handle.summary["fitted_on"] == "documents-key"
    assert handle.summary["fitted_bytes"] == 4
    assert handle.summary["vocab_size"] == 258
    assert handle.summary["sampled"] is False


def test_a_big_corpus_is_sampled_and_the_sample_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIT_BYTES", 1000)
    documents = FakeDocuments({"train": ["abcdefghij"] * 1000})
    config = TokenizerConfig(kind="bpe")
    handle = fit_tokenizer(ContentStore(tmp_path), documents, config=config)  # type: ignore[arg-type]
    assert handle.summary["sampled"] is True
    assert 500 < handle.summary["fitted_bytes"] < 2000


def test_an_empty_train_split_is_the_users_error(tmp_path: Path) -> None:
    documents = FakeDocuments({"train": []})
    with pytest.raises(SourceError, match="validation_fraction"):
        fit_tokenizer(ContentStore(tmp_path), documents, config=TokenizerConfig())  # type: ignore[arg-type]


def test_unfitted_kinds_need_no_words() -> None:
    assert CharTokenizer().vocab_size == WordTokenizer().vocab_size == 257
