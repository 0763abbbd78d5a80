"""What is drawn for a prompt becomes text; test_generation.py has whole generations."""

import torch

from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.model.continuation import Continuation, advance
from lmcore.model.sampling import GenerationConfig

CODEC = ByteTokenizer()


def test_tokens_become_text_that_is_certain() -> None:
    config = GenerationConfig(max_tokens=10, stop=("end",))
    text = Continuation(CODEC, config, seed=0, prompt="")
    # Half a character, and what may become a stop text, is held back.
    assert [text.take(byte) for byte in "é".encode()] == ["", "é"]
    assert [text.take(ord(letter)) for letter in "enx"] == ["", "", "enx"]
    assert [text.take(ord(letter)) for letter in "end"] == ["", "", ""]
    assert (text.finish, text.tokens) == ("stop", 8)


def test_chances_are_its_own_and_only_taken_where_needed() -> None:
    def chances(seed: int, temperature: float) -> list[float]:
        config = GenerationConfig(temperature=temperature)
        text = Continuation(CODEC, config, seed=seed, prompt="")
        return [text.choice().chance for _ in range(3)]

    assert chances(1, 1.0) == chances(1, 0.5) != chances(2, 1.0)
    assert chances(1, 0.0) == [0.0] * 3


def test_chances_that_are_drawn_ahead_are_those_of_the_generator_one_by_one() -> None:
    text = Continuation(CODEC, GenerationConfig(), seed=5, prompt="")
    rng = torch.Generator().manual_seed(5)
    expected = [torch.rand((), generator=rng, dtype=torch.float64).item() for _ in range(100)]
    assert [text.choice().chance for _ in range(100)] == expected


def test_recent_tokens_are_told_for_the_penalty_alone() -> None:
    penalty = GenerationConfig(repetition_penalty=1.5)
    text = Continuation(CODEC, penalty, seed=0, prompt="a")
    for token in (7, 5, 7):
        text.take(token)
    assert text.choice().recent == [5, 7]
    plain = Continuation(CODEC, GenerationConfig(), seed=0, prompt="a")
    plain.take(7)
    assert list(plain.choice().recent) == []


def test_lanes_advance_together() -> None:
    greedy = GenerationConfig(temperature=0.0, max_tokens=2)
    lanes = [Continuation(CODEC, greedy, seed=0, prompt="") for _ in range(2)]
    logits = torch.zeros(2, CODEC.vocab_size)
    logits[0, ord("x")] = logits[1, CODEC.end_id] = 1.0
    assert advance(lanes, logits) == [(ord("x"), "x"), (CODEC.end_id, "")]
    assert [lane.finish for lane in lanes] == [None, "end"]


def test_what_ends_a_turn_ends_it_as_the_end_token_does() -> None:
    config = GenerationConfig(ends=frozenset({ord("!")}))
    text = Continuation(CODEC, config, seed=0, prompt="")
    assert [text.take(ord(letter)) for letter in "ab!"] == ["a", "b", ""]
    assert (text.finish, text.tokens) == ("end", 2)
