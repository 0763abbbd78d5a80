"""Text is cut into pieces of bytes and comes back whole, whatever it holds."""

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens import vocabularies
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.data.tokens.vocabularies import (
    BpeTokenizer,
    ByteTokenizer,
    CharTokenizer,
    WordTokenizer,
    split_parts,
    utf8,
)
from lmcore.errors import IntegrityError, UserError

KINDS = ("byte", "char", "word", "bpe")


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text() | st.text(alphabet=" \n\t\r\x00ab'1.ß東🦊 \u2028\u0301<|end|>"))
@settings(deadline=None, max_examples=150)
def test_every_text_survives_and_spells_no_end_token(
    kind: str, text: str, fitted: dict[str, Tokenizer]
) -> None:
    tokenizer = fitted[kind]
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


def test_long_text_in_parts_encodes_as_the_library_does_whole(
    monkeypatch: pytest.MonkeyPatch, fitted: dict[str, Tokenizer]
) -> None:
    tokenizer = fitted["bpe"]
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
def test_parts_are_cut_where_the_library_cuts(
    scraps: list[str], fitted: dict[str, Tokenizer]
) -> None:
    tokenizer = fitted["bpe"]
    assert isinstance(tokenizer, BpeTokenizer)
    text = "".join(scraps)
    whole = tokenizer._backend.encode(text, add_special_tokens=False).ids
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabularies, "_PART_CHARACTERS", 300)
        assert tokenizer.encode(text) == whole


def test_text_without_a_safe_cut_still_survives(
    monkeypatch: pytest.MonkeyPatch, fitted: dict[str, Tokenizer]
) -> None:
    monkeypatch.setattr(vocabularies, "_PART_CHARACTERS", 300)
    text = "東京\n" * 500 + " " * 1000 + "a" * 1000
    assert fitted["bpe"].decode(fitted["bpe"].encode(text)) == text


def test_unfitted_kinds_need_no_words() -> None:
    assert CharTokenizer().vocab_size == WordTokenizer().vocab_size == 257


def test_a_word_brings_the_space_before_it() -> None:
    tokenizer = WordTokenizer([" of", " the", "States"])
    assert [tokenizer.pieces[i] for i in tokenizer.encode("States of the")] == [
        b"States",
        b" of",
        b" the",
    ]
    # A known word is known with its space: at another place it is spelled.
    assert tokenizer.encode(" States") == list(b" States")
    # The space at the end of a prompt is a token of its own, so the next word brings a second.
    assert tokenizer.encode("States of ")[-1] == ord(" ")


def test_known_characters_are_one_token_and_others_their_bytes() -> None:
    tokenizer = CharTokenizer("ß🦊")
    assert tokenizer.encode("aß🦊é") == [97, 256, 257, 0xC3, 0xA9]
    assert tokenizer.vocab_size == 259
    assert tokenizer.pieces[256:] == ("ß".encode(), "🦊".encode(), b"")


def test_known_words_are_one_token_with_their_space() -> None:
    tokenizer = WordTokenizer([" the", "the", "  \n"])
    assert tokenizer.encode("the the  the  \nthe") == [257, 256, 32, 256, 258, 257]


def test_no_text_is_no_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("") == []
    assert tokenizer.encode_batch([]) == []
    assert tokenizer.decode([]) == ""


@given(st.lists(st.text("ab é\n東", min_size=1, max_size=9), max_size=150), st.integers(257, 300))
@settings(deadline=None, max_examples=50)
def test_parts_are_the_text_and_of_bounded_length(scraps: list[str], size: int) -> None:
    text = "".join(scraps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabularies, "_PART_CHARACTERS", size)
        parts = list(split_parts(text))
    assert "".join(parts) == text
    assert all(parts[:-1])
    assert max(len(part) for part in parts) <= size


def test_a_part_ends_before_a_word_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "_PART_CHARACTERS", 300)
    words, letters = "word " * 80, "x" * 700
    # The space at 299 is no safe cut: what follows it is beyond the bound.
    assert [len(part) for part in split_parts(words)] == [294, 106]
    assert list(split_parts(words))[1].startswith(" word")
    assert [len(part) for part in split_parts(letters)] == [300, 300, 100]
    assert list(split_parts("x" * 300)) == ["x" * 300]


def test_half_a_pair_is_named_with_its_place() -> None:
    assert utf8("é") == b"\xc3\xa9"
    with pytest.raises(UserError, match=r"holds U\+DC80 at position 3, half of a surrogate pair"):
        utf8("abc\udc80")


def bpe(vocabulary: dict[str, int]) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))


def test_a_byte_pair_table_without_gaps_is_taken_and_one_with_gaps_is_not() -> None:
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    table = {character: index for index, character in enumerate(alphabet)}
    tokenizer = BpeTokenizer(bpe(table))
    assert sorted(tokenizer.pieces[:-1]) == [bytes([value]) for value in range(256)]
    assert tokenizer.end_id == 256
    for wrong in ({**table, "ab": 257}, dict(list(table.items())[:255])):
        with pytest.raises(IntegrityError, match="gaps in its ids"):
            BpeTokenizer(bpe(wrong))
    with pytest.raises(IntegrityError, match="'東', which stands for no byte"):
        BpeTokenizer(bpe({**table, "東": 256}))


def test_the_saved_table_holds_the_pieces_that_are_no_bytes(tmp_path: Path) -> None:
    WordTokenizer([" café", "\n"]).save(tmp_path)
    assert json.loads((tmp_path / "vocabulary.json").read_text("utf-8")) == {
        "schema_version": 1,
        "kind": "word",
        "vocab_size": 259,
        "end_id": 258,
        "pieces": [" café", "\n"],
    }


def test_a_borrowed_tokenizer_is_cut_at_spaces_however_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "_PART_CHARACTERS", 300)
    text = "x" * 700 + " yy" + "z" * 3_000
    assert [len(part) for part in split_parts(text)][:3] == [300, 300, 100]
    # Not before all of it was looked at, so far as memory is bounded.
    assert [len(part) for part in split_parts(text, swallowed=0)][:3] == [700, 300, 300]
    assert list(split_parts(text, swallowed=1)) == ["x" * 700, "yy" + "z" * 3_000]
    for swallowed in (None, 0):
        assert "".join(split_parts(text, swallowed=swallowed)) == text
