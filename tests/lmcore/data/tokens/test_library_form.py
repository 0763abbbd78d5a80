"""What a program without this project reads: the same ids, and the same text again."""

from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens.library_form import byte_characters, library_tokenizer, with_decoder
from lmcore.data.tokens.tokenizer import Tokenizer, load_tokenizer
from lmcore.data.tokens.vocabularies import WORD_PIECES, WordTokenizer

KINDS = ("byte", "char", "word", "bpe")


@pytest.fixture(scope="module")
def bare(
    tmp_path_factory: pytest.TempPathFactory, fitted: dict[str, Tokenizer]
) -> dict[str, tokenizers.Tokenizer]:
    """By kind, read from the saved file by the library alone."""
    found = {}
    for kind, tokenizer in fitted.items():
        folder = tmp_path_factory.mktemp(kind)
        tokenizer.save(folder)
        found[kind] = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return found


@pytest.mark.parametrize("kind", KINDS)
@given(
    text=st.text() | st.text(alphabet=" \n\t\r\x00\x0b\x1c\x85\xa0ab'1.ß東🦊\u2028\u0301<|end|>")
)
@settings(deadline=None, max_examples=150)
def test_the_bare_library_cuts_and_joins_as_we_do(
    kind: str, text: str, fitted: dict[str, Tokenizer], bare: dict[str, tokenizers.Tokenizer]
) -> None:
    ids = fitted[kind].encode(text)
    assert bare[kind].encode(text).ids == ids
    assert bare[kind].decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_any_ids_join_to_the_same_text(
    kind: str,
    data: st.DataObject,
    fitted: dict[str, Tokenizer],
    bare: dict[str, tokenizers.Tokenizer],
) -> None:
    # End tokens, halves of characters and all; the library leaves out ids that it does not know.
    last = fitted[kind].end_id
    ids = data.draw(st.lists(st.integers(0, last) | st.integers(0xC0, 255), max_size=40))
    assert bare[kind].decode(ids) == fitted[kind].decode(ids)


def test_every_character_parts_words_as_it_does_with_us() -> None:
    pieces = WordTokenizer().pieces[:-1]
    splitter = library_tokenizer("word", pieces).pre_tokenizer.__getitem__(0)
    # All white space of Unicode 16 is below U+3001.
    points = [*range(0x3100), 0xD7FF, 0xFEFF, 0xFFFD, 0x1F98A, 0xE0001, 0x10FFFF]
    for point in points:
        text = f"a{chr(point)}\n {chr(point)}b"
        parts = [part for part, _ in splitter.pre_tokenize_str(text)]
        assert parts == WORD_PIECES.findall(text), hex(point)


def test_a_file_of_an_earlier_version_still_loads_and_now_decodes(
    tmp_path: Path, fitted: dict[str, Tokenizer]
) -> None:
    fitted["bpe"].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    former = tokenizers.Tokenizer.from_file(str(path))
    # What was registered before has no decoder; other kinds had no such file at all.
    stripped = '"decoder": null'
    text = former.to_str()
    start = text.index('"decoder":')
    end = text.index('"model":')
    path.write_text(text[:start] + stripped + "," + text[end:])
    assert tokenizers.Tokenizer.from_file(str(path)).decoder is None
    loaded = load_tokenizer(tmp_path)
    ids = loaded.encode("Große Füchse")
    assert ids == fitted["bpe"].encode("Große Füchse")
    loaded.save(tmp_path)
    assert tokenizers.Tokenizer.from_file(str(path)).decode(ids) == "Große Füchse"


def test_a_byte_has_one_character_and_a_decoder_gives_it_back() -> None:
    spelling = byte_characters()
    assert len(set(spelling)) == 256
    assert set(spelling) == set(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    table = {character: value for value, character in enumerate(spelling)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=table, merges=[]))
    assert with_decoder(made).decode(list("ß a".encode())) == "ß a"
