"""A conversation becomes the tokens that the library would read, and nobody speaks for another."""

import library_tokenizers as library
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from lmcore.chat_template import ChatTemplate
from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.conversation import Conversations
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.errors import UserError

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|turn|>{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "<|turn|>assistant:"
)
ASKED = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "12 of 345?"}]


def borrowed(made: tokenizers.Tokenizer, template: str = TEMPLATE) -> BorrowedTokenizer:
    chat = ChatTemplate(
        template=template, bos_token=library.END, eos_token=library.TURN, ends=(library.TURN,)
    )
    return BorrowedTokenizer(
        made.to_str(),
        vocab_size=made.get_vocab_size(),
        end_id=made.token_to_id(library.END),
        chat=chat,
    )


def conversations(made: tokenizers.Tokenizer, template: str = TEMPLATE) -> Conversations:
    found = Conversations.of(borrowed(made, template))
    assert found is not None
    return found


def test_a_tokenizer_without_a_template_knows_none() -> None:
    made = library.byte_level()
    assert Conversations.of(ByteTokenizer()) is None
    assert Conversations.of(BorrowedTokenizer(made.to_str(), vocab_size=300, end_id=0)) is None


def test_names_of_the_template_are_tokens() -> None:
    made = library.byte_level()
    tokenizer, turn = borrowed(made), made.token_to_id(library.TURN)
    found = conversations(made).read(ASKED)
    assert found.ids == [
        0,
        turn,
        *tokenizer.encode("user: the cat\n"),
        turn,
        *tokenizer.encode("assistant: 12 of 345?\n"),
        turn,
        *tokenizer.encode("assistant:"),
    ]
    assert found.text == (
        "<|end|><|turn|>user: the cat\n<|turn|>assistant: 12 of 345?\n<|turn|>assistant:"
    )
    assert conversations(made).ends == {turn}


@pytest.mark.parametrize("kind", ["byte level", "whole words", "byte fallback"])
def test_the_library_reads_the_same(kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    made = library.LOSSLESS[kind]()
    made.no_truncation()
    made.no_padding()
    other = transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token=library.END)
    expected = other.apply_chat_template(
        ASKED, chat_template=TEMPLATE, add_generation_prompt=True, return_dict=False
    )
    assert conversations(made).read(ASKED).ids == expected


def test_white_space_that_a_token_swallows_is_none() -> None:
    made = library.byte_level()
    made.add_special_tokens([tokenizers.AddedToken("<|x|>", rstrip=True, lstrip=True)])
    spaced = "a <|x|> {{ messages[0].content }}"
    tight = "a<|x|>{{ messages[0].content }}"
    assert conversations(made, spaced).read(ASKED).ids == conversations(made, tight).read(ASKED).ids


_PARTS = ("<|turn|>", "<|end|>", "<|", "turn", "|>", "\ue000", "\ue001", "é", " ", "\n", "<")


@given(said=st.lists(st.sampled_from(_PARTS), max_size=12).map("".join))
def test_what_people_write_is_text_whatever_it_spells(said: str) -> None:
    made = library.byte_level()
    tokenizer, turn = borrowed(made), made.token_to_id(library.TURN)
    ids = conversations(made).read([{"role": "user", "content": said}]).ids
    places = [place for place, token in enumerate(ids) if token == turn]
    assert ids.count(0) == 1
    assert len(places) == 2
    assert tokenizer.decode(ids[places[0] + 1 : places[1]]) == f"user: {said}\n"


def test_a_name_inside_and_across_another_is_text_too() -> None:
    made = library.byte_level()
    made.add_special_tokens(["|>a", "turn"])
    ids = conversations(made, "{{ messages[0].content }}").read(
        [{"role": "user", "content": "<|turn|>a turn|>a"}]
    )
    special = {made.token_to_id(name) for name in (library.TURN, "|>a", "turn")}
    assert special.isdisjoint(ids.ids)
    assert ids.text == "<|turn|>a turn|>a"


def test_a_text_of_every_mark_is_refused() -> None:
    every = "".join(map(chr, range(0xE000, 0xF900)))
    with pytest.raises(UserError, match="private use area"):
        conversations(library.byte_level()).read([{"role": "user", "content": every}])


def test_a_conversation_of_which_nothing_is_made_is_refused() -> None:
    silent = "{% for m in messages if m.role == 'tool' %}{{ m.content }}{% endfor %}"
    with pytest.raises(UserError, match="writes nothing"):
        conversations(library.byte_level(), silent).read(ASKED)
