"""Words that came before are looked up, and ids are those of the library, whatever a text holds."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens import word_cache
from lmcore.data.tokens.library_form import byte_characters
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.data.tokens.vocabularies import BpeTokenizer
from lmcore.data.tokens.word_cache import WordCache, encoded, encodes_words, pre_tokenizer

# What the pattern tells apart, at its edges: contractions, blanks of every kind (four of which
# Python alone counts as such), marks and joiners, numbers that are no digits, letters and signs
# beyond the first plane, and U+A7DA, a letter that Unicode got in 2024.
EDGES = (
    "a b'tsrevmld19 \n\t\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u202f\u3000"
    "ßéДあ東क\u093f\u0301\u200c\u200d\u200b½²Ⅷ٣.,!?_-’“\u2026🦊𝐀𐐀𝟗\ua7da"
)


def bare() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = pre_tokenizer()
    return made


@pytest.fixture(scope="module")
def encoder(fitted: dict[str, Tokenizer]) -> tokenizers.Tokenizer:
    tokenizer = fitted["bpe"]
    assert isinstance(tokenizer, BpeTokenizer)
    return tokenizer._backend


@pytest.fixture(scope="module")
def telling() -> tokenizers.Tokenizer:
    """An encoder whose ids tell where it cuts: signs of each kind join any byte behind them."""
    alphabet = byte_characters()
    merges = [(alphabet[ord(sign)], byte) for sign in "a1! " for byte in alphabet]
    pieces = [*alphabet, *(first + second for first, second in merges)]
    made = bare()
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    made.model = tokenizers.models.BPE(vocab=vocabulary, merges=merges)
    return made


def lists(found: list[word_cache.Ids]) -> list[list[int]]:
    return [ids.tolist() for ids in found]


@given(texts=st.lists(st.text(alphabet=EDGES) | st.text(), max_size=6))
@settings(deadline=None, max_examples=400)
def test_ids_are_those_of_the_library(
    texts: list[str], encoder: tokenizers.Tokenizer, telling: tokenizers.Tokenizer
) -> None:
    for each in (encoder, telling):
        cache = WordCache(each)
        expected = [each.encode(text, add_special_tokens=False).ids for text in texts]
        assert lists(cache.encode(texts)) == expected
        assert lists(cache.encode(texts[::-1])) == expected[::-1]


def test_both_programs_cut_every_character_alike_or_the_library_is_asked(
    telling: tokenizers.Tokenizer,
) -> None:
    cache = WordCache(telling)
    planes = ((0x80, 0x3000), (0xA000, 0xD800), (0xF900, 0x11000), (0x1D400, 0x1F900))
    characters = [chr(point) for first, last in planes for point in range(first, last)]
    texts = [f"a{c}a 1{c}1 !{c}! {c} {c}{c}" for c in characters]
    assert lists(cache.encode(texts)) == lists(encoded(telling, texts))


def test_a_word_is_encoded_once(
    encoder: tokenizers.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counting(encoder: tokenizers.Tokenizer, texts: list[str]) -> list[word_cache.Ids]:
        asked.extend(texts)
        return encoded(encoder, texts)

    monkeypatch.setattr(word_cache, "encoded", counting)
    cache = WordCache(encoder)
    cache.encode(["the fox and the other fox", "and"])
    assert asked == ["the", " fox", " and", " the", " other", "and"]
    asked.clear()
    cache.encode(["the fox", " and the dog", "a letter of another time: \ua7da"])
    assert asked == [" dog", "a letter of another time: \ua7da"]


def test_what_is_known_is_forgotten_before_it_becomes_too_much(
    encoder: tokenizers.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_cache, "_MAX_WORDS", 50)
    cache = WordCache(encoder)
    for start in range(0, 2000, 20):
        texts = [f"word{'x' * (number % 7)} w{number}y" for number in range(start, start + 20)]
        assert lists(cache.encode(texts)) == lists(encoded(encoder, texts))
        assert len(cache._known) <= 50 + 4 * 20


def test_text_whose_words_do_not_come_back_is_left_to_the_library(
    encoder: tokenizers.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_cache, "_TELLING", 10)
    cache = WordCache(encoder)
    for round_ in range(20):
        # Clauses of Han, each another one.
        texts = [chr(0x4E00 + 40 * round_ + i) * 9 + "。" for i in range(40)]
        assert lists(cache.encode(texts)) == lists(encoded(encoder, texts))
    # Of twenty calls the first, the ninth and the seventeenth were looked up: 40 clauses each, and
    # the full stop.
    assert len(cache._known) == 121


def test_threads_may_share_one(encoder: tokenizers.Tokenizer) -> None:
    cache = WordCache(encoder)
    texts = [f"thread {number % 13} says w{number}" for number in range(400)]
    expected = lists(encoded(encoder, texts))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: cache.encode(texts[i : i + 5]), range(0, 400, 5)))
    assert [ids for some in found for ids in lists(some)] == expected


def test_an_encoder_that_cuts_otherwise_is_not_looked_up(encoder: tokenizers.Tokenizer) -> None:
    assert encodes_words(encoder)
    assert encodes_words(bare())
    without = tokenizers.Tokenizer(tokenizers.models.BPE())
    assert not encodes_words(without)
    other = bare()
    other.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert not encodes_words(other)
    by_chance = bare()
    by_chance.model = tokenizers.models.BPE(dropout=0.1)
    assert not encodes_words(by_chance)
    changes = bare()
    changes.normalizer = tokenizers.normalizers.Lowercase()
    assert not encodes_words(changes)
    cuts_off = bare()
    cuts_off.enable_truncation(10)
    assert not encodes_words(cuts_off)
    fills_up = bare()
    fills_up.enable_padding()
    assert not encodes_words(fills_up)
    special = bare()
    special.add_special_tokens(["<s>"])
    assert not encodes_words(special)
