import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tokenizers
from sentences import sentences

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens import tokenizer as module
from lmcore.data.tokens.tokenizer import (
    Tokenizer,
    fit_tokenizer,
    load_tokenizer,
    train_tokenizer,
)
from lmcore.errors import IntegrityError, SourceError


def make(texts: list[str], kind: str, vocab_size: int = 300) -> Tokenizer:
    config = TokenizerConfig.model_validate({"kind": kind, "vocab_size": vocab_size})
    return train_tokenizer(texts, config=config)


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


def test_bpe_vocabulary_size_includes_the_end_token(
    fitted: dict[str, Tokenizer], texts: list[str]
) -> None:
    tokenizer = make(texts, "bpe", 280)
    assert tokenizer.vocab_size == 280
    assert len(fitted["bpe"].encode("The quick brown fox")) < len("The quick brown fox")


def test_bpe_fit_is_deterministic(texts: list[str]) -> None:
    assert make(texts, "bpe").pieces == make(texts, "bpe").pieces


def test_bpe_of_a_tiny_corpus_stops_early() -> None:
    tokenizer = train_tokenizer(["ab"], config=TokenizerConfig(kind="bpe", vocab_size=1024))
    assert tokenizer.vocab_size == 258
    assert tokenizer.decode(tokenizer.encode("ab 🦊")) == "ab 🦊"


def test_saved_and_loaded_is_the_same(
    tokenizer: Tokenizer, tmp_path: Path, texts: list[str]
) -> None:
    tokenizer.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json"}
    loaded = load_tokenizer(tmp_path)
    assert loaded.kind == tokenizer.kind
    assert loaded.pieces == tokenizer.pieces
    assert loaded.encode(texts[1]) == tokenizer.encode(texts[1])


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "bpe"}', '{"schema_version": 2}'])
def test_a_damaged_vocabulary_is_refused(
    tmp_path: Path, content: str, fitted: dict[str, Tokenizer]
) -> None:
    fitted["bpe"].save(tmp_path)
    (tmp_path / "vocabulary.json").write_text(content)
    with pytest.raises(IntegrityError, match="nothing was loaded"):
        load_tokenizer(tmp_path)


def test_an_unparsable_bpe_file_is_refused(tmp_path: Path, fitted: dict[str, Tokenizer]) -> None:
    fitted["bpe"].save(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)


def test_a_bpe_file_with_a_special_token_is_refused(
    tmp_path: Path, fitted: dict[str, Tokenizer]
) -> None:
    fitted["bpe"].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    backend = tokenizers.Tokenizer.from_file(str(path))
    backend.add_special_tokens(["<|end|>"])
    path.write_text(backend.to_str())
    with pytest.raises(IntegrityError, match="special tokens"):
        load_tokenizer(tmp_path)


def test_a_bpe_file_of_another_size_is_refused(
    tmp_path: Path, fitted: dict[str, Tokenizer]
) -> None:
    fitted["bpe"].save(tmp_path)
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


@pytest.mark.parametrize(
    "word", ["नियन्त्रण", "பிறப்பு", "স্বাধীনতা", "ประเทศ", "می\u200cخواهم", "naïve", "क्षेत्र\u200dीय"]
)
def test_a_word_with_its_signs_can_become_one_token(word: str) -> None:
    config = TokenizerConfig(kind="bpe", vocab_size=400)
    tokenizer = train_tokenizer([f"{word} {word} " * 50], config=config)
    text = f"{word} {word}"
    assert len(tokenizer.encode(text)) == 2
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_text_without_signs_is_cut_as_by_the_byte_level_pattern_alone() -> None:
    english = "\n".join(sentences(200))
    usual = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = usual
    backend.train_from_iterator(
        [english],
        trainer=tokenizers.trainers.BpeTrainer(
            vocab_size=599, initial_alphabet=usual.alphabet(), show_progress=False
        ),
    )
    ours = train_tokenizer([english], config=TokenizerConfig(kind="bpe", vocab_size=600))
    assert list(ours.encode(english)) == backend.encode(english).ids
