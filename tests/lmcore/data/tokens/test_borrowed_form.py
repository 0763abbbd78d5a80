import copy
import itertools
import json
import math
from collections.abc import Iterator
from typing import Any

import library_tokenizers as library
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.borrowed_form import BorrowedForm, read_form, sheltered
from lmcore.errors import IntegrityError


def form(made: tokenizers.Tokenizer, end_id: int = 0) -> BorrowedForm:
    return read_form(made.to_str(), vocab_size=400, end_id=end_id)


def test_nothing_is_put_around_a_text_nor_cut_off() -> None:
    made = library.byte_level()
    text = "the cat sat on the mat and on the dog"
    assert made.encode(text).ids[0] == 0
    found = form(made)
    ids = found.backend.encode(text).ids
    assert b"".join(found.pieces[i] for i in ids) == text.encode()
    assert found.backend.truncation is None
    assert found.backend.padding is None


def test_a_special_token_that_is_a_piece_of_the_vocabulary_is_not_found_in_text() -> None:
    made = library.unigram()
    made.encode_special_tokens = True
    assert made.token_to_id("<s>") in made.encode("a<s>b").ids, "the library finds it"
    assert made.token_to_id("<s>") not in form(made, end_id=2).backend.encode("a<s>b").ids


def test_a_merge_that_makes_the_end_token_is_taken_out() -> None:
    model = tokenizers.models.BPE(
        vocab={"a": 0, "b": 1, "ab": 2, "abb": 3}, merges=[("a", "b"), ("ab", "b")]
    )
    made = tokenizers.Tokenizer(model)
    made.decoder = tokenizers.decoders.Fuse()
    assert made.encode("abb").ids == [3]
    assert form(made, end_id=3).backend.encode("abb").ids == [2, 1]
    assert form(made, end_id=2).backend.encode("abb").ids == [0, 1, 1]


def test_the_unknown_token_keeps_its_id() -> None:
    assert form(library.words()).unknown_id == 1
    assert form(library.byte_fallback(), end_id=2).unknown_id == 0
    assert form(library.unigram(), end_id=2).unknown_id == 0
    assert form(library.byte_level()).unknown_id is None


def test_word_pieces_stand_behind_a_space_or_go_on() -> None:
    vocabulary = {"[UNK]": 0, "un": 1, "##able": 2, "able": 3}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.decoder = tokenizers.decoders.WordPiece()
    assert form(made).pieces[:4] == (b"", b" un", b"able", b" able")


@pytest.mark.parametrize(
    ("normalizer", "expected"),
    [
        (None, ()),
        (tokenizers.normalizers.NFC(), ("NFC",)),
        (tokenizers.normalizers.Replace("ß", "ss"), ("Replace",)),
        (tokenizers.normalizers.BertNormalizer(), ("BertNormalizer",)),
    ],
)
def test_steps_that_may_lose_text_are_named(normalizer: Any, expected: tuple[str, ...]) -> None:
    assert form(library.byte_level(normalizer=normalizer)).may_lose == expected


def test_white_space_that_is_dropped_and_bytes_that_have_no_token_are_named() -> None:
    assert form(library.words()).may_lose == ("WhitespaceSplit", "243 bytes without a token")


def test_dropout_of_merges_is_switched_off() -> None:
    made = library.byte_level()
    made.model.dropout = 0.9
    text = "the cat sat on the mat " * 20
    found = form(made).backend
    assert found.encode(text).ids == found.encode(text).ids


GOOD = json.loads(library.byte_level().to_str())
OTHER = {**GOOD["added_tokens"][1], "id": 7, "content": "<other>", "special": False}
GROWING = {"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 20}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "JSON"),
        ("[]", "TypeError"),
        ("{}", "model"),
        ("[" * 100_000, "Recursion"),
        (json.dumps({**GOOD, "model": {"type": "Neural"}}), "Neural"),
        (json.dumps({**GOOD, "model": {"type": "BPE"}}), "vocab"),
        (json.dumps({**GOOD, "model": {"type": "BPE", "vocab": {"a": 0, "b": 0}}}), "same id"),
        (json.dumps({**GOOD, "decoder": {"type": "CTC"}}), "CTC"),
        (json.dumps({**GOOD, "pre_tokenizer": {"type": "Custom"}}), "Exception"),
        (json.dumps({**GOOD, "normalizer": 7}), "TypeError"),
        (
            json.dumps({**GOOD, "normalizer": {"type": "Sequence", "normalizers": [GROWING] * 2}}),
            "400 times",
        ),
        (json.dumps({**GOOD, "added_tokens": [OTHER]}), "cannot have"),
        (json.dumps({**GOOD, "added_tokens": [{"content": "<other>"}]}), "id"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_one_sentence(source: str, says: str) -> None:
    with pytest.raises(IntegrityError, match=says) as caught:
        BorrowedTokenizer(source, vocab_size=300, end_id=0)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("vocab_size", "end_id"), [(300, 300), (300, -1), (200, 0), (10**12, 0)])
def test_a_model_that_does_not_fit_is_refused(vocab_size: int, end_id: int) -> None:
    with pytest.raises(IntegrityError, match="has the id"):
        BorrowedTokenizer(library.byte_level().to_str(), vocab_size=vocab_size, end_id=end_id)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a record has something; of long lists and vocabularies the beginning."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for key, part in itertools.islice(inside, 12):
        yield from _places(part, (*path, key))


RECORDS = [json.loads(made().to_str()) for made in (library.words, library.unigram)]
RECORDS += [json.loads(made().to_str()) for made in (library.lowering, library.byte_fallback)]
ODD = [None, True, -1, 7, 2**40, "", "Regex", [], {}, [["a", 1]], math.nan]
ODD += [
    {"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False},
    {"type": "Replace", "pattern": {"String": ""}, "content": "zz"},
]


@given(record=st.sampled_from(RECORDS), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_refused_or_works(record: dict[str, Any], data: st.DataObject) -> None:
    record = copy.deepcopy(record)
    path = data.draw(st.sampled_from(list(_places(record))))
    inner: Any = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(st.sampled_from(ODD))
    end_id = data.draw(st.sampled_from([0, 2, 5]))
    try:
        tokenizer = BorrowedTokenizer(json.dumps(record), vocab_size=400, end_id=end_id)
        for text in ("the cat", "a" * 40 + "c", "", f"é文<s>{library.END}"):
            ids = tokenizer.encode(text)
            assert end_id not in ids
            assert all(0 <= i < 400 for i in ids)
            assert isinstance(tokenizer.decode(ids), str)
    except IntegrityError:
        return


def test_a_special_token_beyond_the_table_does_no_harm() -> None:
    made = library.byte_level()
    size = made.get_vocab_size()
    made.add_special_tokens(["<pad>"])
    tokenizer = BorrowedTokenizer(made.to_str(), vocab_size=size, end_id=0)
    assert max(tokenizer.encode("<pad> the cat")) < size


def test_what_the_caller_does_wrong_is_not_hidden() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sheltered(stop)
