import codecs
import dataclasses
import gc
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from language_models import KINDS, language_model, tokenizer_of

from lmcore.data.tokens.vocabularies import (
    ByteTokenizer,
    CharTokenizer,
    TableTokenizer,
    WordTokenizer,
)
from lmcore.model.config import ModelConfig
from lmcore.model.generation import Generation, generate, generate_batch, stream_generate
from lmcore.model.language_model import Features, Reading
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.model.sampling import GenerationConfig
from lmcore.model.state import State

TOKENIZER = ByteTokenizer()


@pytest.fixture(scope="module")
def model() -> RecurrentAttentionLM:
    torch.manual_seed(0)
    model = RecurrentAttentionLM(
        ModelConfig(d_model=16, head_dim=4, window=8), TOKENIZER.vocab_size, TOKENIZER.end_id
    )
    torch.nn.init.normal_(model.head_weight, std=1.0)
    return model.eval()


class Scripted(RecurrentAttentionLM):
    """A model that, read greedily, writes a given byte string and then ends the document."""

    def __init__(self, script: bytes) -> None:
        config = ModelConfig(pattern="A", d_model=16, head_dim=4, window=1)
        super().__init__(config, TOKENIZER.vocab_size, TOKENIZER.end_id)
        self.script = [*script, TOKENIZER.end_id]
        self.position = 0

    def features(self, tokens: torch.Tensor, state: Any = None, *, rng: Any = None) -> Any:
        features, state = super().features(tokens, state, rng=rng)
        return features, state

    def logits(self, features: Features) -> torch.Tensor:
        scores = torch.zeros(*features.vectors.shape[:-1], self.vocab_size)
        scores[..., self.script[min(self.position, len(self.script) - 1)]] = 5.0
        self.position += 1
        return scores


def test_same_seed_same_text_and_other_seed_other_text(model: RecurrentAttentionLM) -> None:
    texts = [
        generate(model, TOKENIZER, "Fellow", GenerationConfig(max_tokens=40, seed=seed)).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_the_callers_random_state_is_left_alone(model: RecurrentAttentionLM) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    generate(model, TOKENIZER, "a", GenerationConfig(max_tokens=5))
    assert torch.equal(torch.rand(3), expected)


def test_streaming_equals_generating_and_leaves_gradients_on(model: RecurrentAttentionLM) -> None:
    config = GenerationConfig(max_tokens=60, seed=3)
    pieces = []
    for piece in stream_generate(model, TOKENIZER, "x", config):
        assert not torch.is_inference_mode_enabled()
        pieces.append(piece)
    result = generate(model, TOKENIZER, "x", config)
    assert "".join(pieces) == result.text
    assert result.tokens <= 60


def test_pieces_never_split_a_character() -> None:
    text = "aß東🦊z"
    greedy = GenerationConfig(temperature=0.0, max_tokens=100)
    pieces = list(stream_generate(Scripted(text.encode()), TOKENIZER, "", greedy))
    assert pieces == list(text)
    result = generate(Scripted(text.encode()), TOKENIZER, "", greedy)
    assert result == Generation(text=text, tokens=len(text.encode()), finish="end")


def test_a_character_cut_by_the_length_becomes_a_replacement() -> None:
    greedy = GenerationConfig(temperature=0.0, max_tokens=2)
    result = generate(Scripted("東".encode()), TOKENIZER, "", greedy)
    assert result == Generation(text="\ufffd", tokens=2, finish="length")


@given(
    text=st.text(alphabet="ab\n", max_size=12),
    stop=st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), min_size=1, max_size=3),
)
@settings(deadline=None, max_examples=60)
def test_stop_strings_end_the_text_and_are_never_shown(text: str, stop: list[str]) -> None:
    config = GenerationConfig(temperature=0.0, max_tokens=100, stop=tuple(stop))
    pieces = "".join(stream_generate(Scripted(text.encode()), TOKENIZER, "", config))
    result = generate(Scripted(text.encode()), TOKENIZER, "", config)
    # Read left to right: stop as soon as one of the strings is complete.
    ends = [text.find(s) + len(s) for s in stop if s in text]
    first = min(ends, default=None)
    expected = text
    if first is not None:
        expected = text[: min(text[:first].find(s) for s in stop if s in text[:first])]
    assert result.text == pieces == expected
    assert result.finish == ("end" if first is None else "stop")


def test_a_batch_equals_its_prompts_one_by_one(model: RecurrentAttentionLM) -> None:
    prompts = ["", "Fellow citizens", "a" * 30]
    together = generate_batch(model, TOKENIZER, prompts, GenerationConfig(max_tokens=30, seed=7))
    alone = [
        generate(model, TOKENIZER, prompt, GenerationConfig(max_tokens=30, seed=7 + index))
        for index, prompt in enumerate(prompts)
    ]
    assert together == alone
    assert generate_batch(model, TOKENIZER, [], GenerationConfig()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_in_a_batch_what_it_writes_alone(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    model = language_model(kind, vocab_size=tokenizer.vocab_size, end_id=tokenizer.end_id)
    # Past the windows of a pretrained one, from prompts shorter and longer than a window.
    config = GenerationConfig(max_tokens=40, seed=7, temperature=2.0)
    prompts = ["", "a cat", "a dog sat on the mat " * 6, "on"]
    together = generate_batch(model, tokenizer, prompts, config)
    alone = [
        generate(model, tokenizer, prompt, dataclasses.replace(config, seed=7 + index))
        for index, prompt in enumerate(prompts)
    ]
    assert together == alone
    assert generate_batch(model, tokenizer, prompts, config) == together
    streamed = "".join(stream_generate(model, tokenizer, prompts[0], config))
    assert streamed == together[0].text
    assert any(generation.tokens > 30 for generation in together)


class Narrow(RecurrentAttentionLM):
    """Writes two texts side by side, and remembers how many were asked for."""

    asked = 0

    @property
    def reading(self) -> Reading:
        return Reading(lanes=2)

    def fresh_state(self, batch_size: int) -> State:
        self.asked = max(self.asked, batch_size)
        return super().fresh_state(batch_size)


def test_a_large_batch_is_continued_in_parts(model: RecurrentAttentionLM) -> None:
    narrow = Narrow(model.config, model.vocab_size, model.end_id)
    narrow.load_state_dict(model.state_dict())
    config, prompts = GenerationConfig(max_tokens=12, seed=7), ["same length"] * 5
    found = generate_batch(narrow.eval(), TOKENIZER, prompts, config)
    assert narrow.asked == 2
    assert found == generate_batch(model, TOKENIZER, prompts, config)


def test_a_long_prompt_is_read_in_chunks(model: RecurrentAttentionLM) -> None:
    prompt = "word " * 300
    ids = torch.tensor([[TOKENIZER.end_id, *TOKENIZER.encode(prompt)]])
    with torch.inference_mode():
        expected = int(model(ids)[0][0, -1].argmax())
    greedy = GenerationConfig(temperature=0.0, max_tokens=1)
    text = generate(model, TOKENIZER, prompt, greedy).text
    assert text == TOKENIZER.decode([expected])


def test_zero_tokens_is_no_text(model: RecurrentAttentionLM) -> None:
    config = GenerationConfig(max_tokens=0)
    assert generate(model, TOKENIZER, "a", config) == Generation(text="", tokens=0, finish="length")
    assert generate_batch(model, TOKENIZER, ["a"], config)[0].tokens == 0


@pytest.mark.parametrize(
    "tokenizer",
    [ByteTokenizer(), CharTokenizer("éß"), WordTokenizer([" the", "the", " of", "é"])],
    ids=lambda tokenizer: tokenizer.kind,
)
@given(prompt=st.text(alphabet="the of\n\t é東🦊\x00", max_size=60), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=8)
def test_any_prompt_is_read_whole_and_followed_by_text(
    tokenizer: TableTokenizer, prompt: str, seed: int
) -> None:
    """Unknown characters and words are read as their bytes; the window bounds no prompt."""
    torch.manual_seed(seed)
    model = RecurrentAttentionLM(
        ModelConfig(d_model=16, head_dim=4, window=2), tokenizer.vocab_size, tokenizer.end_id
    ).eval()
    torch.nn.init.normal_(model.head_weight, std=1.0)
    read: list[int] = []
    model.embedding.register_forward_hook(lambda *call: read.extend(call[1][0].ravel().tolist()))
    config = GenerationConfig(max_tokens=12, seed=seed)
    pieces = list(stream_generate(model, tokenizer, prompt, config))
    length = 1 + len(tokenizer.encode(prompt))
    assert read[0] == tokenizer.end_id
    assert b"".join(tokenizer.pieces[i] for i in read[:length]) == prompt.encode()
    drawn = read[length:]
    # Each token follows the one before it without a space that no piece holds.
    assert "".join(pieces).startswith(
        codecs.getincrementaldecoder("utf-8")("replace").decode(
            b"".join(tokenizer.pieces[i] for i in drawn)
        )
    )
    assert all(piece.encode() for piece in pieces)


def test_memory_does_not_grow_with_the_text() -> None:
    """What a stream holds after hundreds of tokens is what it held after a few."""
    torch.manual_seed(0)
    model = RecurrentAttentionLM(
        ModelConfig(d_model=8, num_heads=1, head_dim=4, window=4),
        TOKENIZER.vocab_size,
        TOKENIZER.end_id,
    ).eval()
    with torch.no_grad():
        model.head_weight[: TOKENIZER.end_id].normal_()
    config = GenerationConfig(
        max_tokens=10_000, temperature=0.0, repetition_penalty=1.5, stop=("never",)
    )
    stream = stream_generate(model, TOKENIZER, "x" * 1000, config)

    def held(count: int) -> int:
        for _ in range(count):
            next(stream)
        gc.collect()
        return sum(
            thing.untyped_storage().nbytes()
            for thing in gc.get_objects()
            if issubclass(type(thing), torch.Tensor)
        )

    few = held(50)
    assert held(800) == few
