"""Many requests in one running batch: each is answered as if it were alone."""

from __future__ import annotations

import functools
import queue
import random
import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from language_models import KINDS, language_model, tokenizer_of

from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.engine.ask import Ask, BusyError, ClosedError, Piece
from lmcore.engine.calls import Calls
from lmcore.engine.engine import Engine, kept_bytes
from lmcore.engine.lanes import RunningBatch
from lmcore.engine.prompts import PromptReader
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.model.generation import generate
from lmcore.model.language_model import LanguageModel
from lmcore.model.sampling import GenerationConfig

CODEC = ByteTokenizer()
WAIT_SECONDS = 60.0


class Answer:
    """What one request was told."""

    def __init__(
        self,
        prompt: str,
        *,
        codec: Any = CODEC,
        begins: bool = True,
        deadline: float = float("inf"),
        likeliest: int | None = None,
        tell_prompt: bool = False,
        shared_with: str = "",
        whole: bool = False,
        **settings: Any,
    ) -> None:
        self.pieces: list[Piece] = []
        self.over = threading.Event()
        self.first: queue.SimpleQueue[Piece] = queue.SimpleQueue()
        self.ask = Ask(
            prompt=codec.encode(prompt),
            before=prompt,
            config=GenerationConfig(**{"max_tokens": 12, **settings}),
            deliver=self._take,
            begins=begins,
            deadline=deadline,
            likeliest=likeliest,
            tell_prompt=tell_prompt,
            shared_with=shared_with,
            whole=whole,
        )

    def _take(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.first.put(piece)
        if piece.end:
            self.over.set()

    def wait(self) -> Answer:
        assert self.over.wait(WAIT_SECONDS), "no end came"
        return self

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def end(self) -> str | None:
        return self.pieces[-1].end

    @property
    def tokens(self) -> list[Any]:
        return [token for piece in self.pieces for token in piece.tokens if not piece.of_prompt]


@functools.cache
def small(seed: int = 0, **shape: Any) -> LanguageModel:
    config = ModelConfig.model_validate(
        {"pattern": "LA", "d_model": 32, "num_heads": 2, "head_dim": 8, "window": 8, **shape}
    )
    model = new_model(
        config, vocab_size=CODEC.vocab_size, end_id=CODEC.end_id, seed=seed, device="cpu"
    )
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3, generator=rng)
    return model.eval()


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = Engine(small, CODEC, most_lanes=8, most_waiting=4, cores=request.param)
    yield made
    made.close(hurry=True)


def answered(engine: Engine, answers: Sequence[Answer], *, pauses: random.Random) -> None:
    for answer in answers:
        engine.submit(answer.ask)
        if pauses.random() < 0.3:
            time.sleep(pauses.random() * 0.01)
    for answer in answers:
        answer.wait()


def a_request(rng: random.Random) -> dict[str, Any]:
    return {
        "prompt": "".join(rng.choices("abc \n", k=rng.choice([0, 1, 5, 40, 300]))),
        "max_tokens": rng.choice([1, 3, 20, 40]),
        "temperature": rng.choice([0.0, 0.7, 1.5]),
        "top_p": rng.choice([0.5, 1.0]),
        "seed": rng.randrange(1000),
        "likeliest": rng.choice([None, 0, 3]),
        "tell_prompt": rng.random() < 0.3,
        "stop": rng.choice([(), ("a",), ("\n\n", "b ")]),
    }


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=2)
def test_an_answer_does_not_depend_on_who_else_is_asking(kind: str, cores: int, seed: int) -> None:
    rng = random.Random(seed)
    scratch = kind == "scratch"
    codec = CODEC if scratch else tokenizer_of(kind)
    model = small() if scratch else language_model(kind, end_id=0)
    many = 32 if scratch else 16
    asked = [{**a_request(rng), "codec": codec} for _ in range(many)]
    engine = Engine(lambda: model, codec, cores=cores)
    try:
        alone = [Answer(**asked[i]) for i in range(0, many, 8)]
        for answer in alone:
            engine.submit(answer.ask)
            answer.wait()
        together = [Answer(**one) for one in asked]
        answered(engine, together, pauses=rng)
        # Pieces are equal: text, tokens, and log-probabilities to the last bit.
        for place, answer in zip(range(0, many, 8), alone, strict=True):
            assert answer.pieces == together[place].pieces
    finally:
        engine.close(hurry=True)


def test_a_large_model_keeps_more_of_its_prompts_than_a_small_one() -> None:
    def weighing(count: int) -> LanguageModel:
        weights = torch.empty(count, device="meta")
        return cast("LanguageModel", SimpleNamespace(parameters=lambda: iter([weights, weights])))

    assert kept_bytes(weighing(1_000_000)) == 8 << 20
    assert kept_bytes(weighing(64_000_000)) == 2 * 4 * 64_000_000 // 16


def test_the_text_is_that_of_generate(engine: Engine) -> None:
    config: dict[str, Any] = {"max_tokens": 60, "seed": 3, "temperature": 0.9}
    answer = Answer("Fellow ", **config)
    engine.submit(answer.ask)
    expected = generate(small(), CODEC, "Fellow ", GenerationConfig(**config))
    assert (answer.wait().text, answer.end) == (expected.text, expected.finish)
    assert len(answer.tokens) == expected.tokens + (expected.finish == "end")


def test_what_is_told_is_the_distribution_before_any_filter(engine: Engine) -> None:
    prompt = "abcab" * 70  # longer than a chunk
    answer = Answer(prompt, max_tokens=1, temperature=0.0, likeliest=2, tell_prompt=True)
    engine.submit(answer.ask)
    answer.wait()
    ids = CODEC.encode(prompt)
    with torch.inference_mode():
        logits, _ = small()(torch.tensor([[CODEC.end_id, *ids]]))
    expected = logits[0].double().log_softmax(1)
    told = [token for piece in answer.pieces for token in piece.tokens]
    assert [token.token for token in told[:-1]] == ids
    for row, token in zip(expected, told, strict=True):
        assert token.log_probability == pytest.approx(float(row[token.token]), abs=1e-4)
        values, places = row.topk(2)
        assert [place for place, _ in token.likeliest] == places.tolist()
        assert [value for _, value in token.likeliest] == pytest.approx(values.tolist(), abs=1e-4)
    assert told[-1].token == told[-1].likeliest[0][0]


def test_nothing_to_draw_ends_at_once(engine: Engine) -> None:
    answer = Answer("abc", max_tokens=0, tell_prompt=True, likeliest=0)
    engine.submit(answer.ask)
    assert (answer.wait().end, answer.text, len(answer.tokens)) == ("length", "", 0)
    assert sum(len(piece.tokens) for piece in answer.pieces) == 3


def test_too_many_are_refused_and_the_others_are_answered(engine: Engine) -> None:
    taken, refused = [], 0
    for seed in range(40):
        answer = Answer("a" * 50, max_tokens=100, seed=seed)
        try:
            engine.submit(answer.ask)
            taken.append(answer)
        except BusyError:
            refused += 1
    assert refused
    assert [answer.wait().end in ("length", "end") for answer in taken] == [True] * len(taken)


def test_who_goes_away_frees_the_row(engine: Engine) -> None:
    endless = [Answer("a", max_tokens=10**6, seed=seed, top_p=1.0) for seed in range(8)]
    for answer in endless:
        engine.submit(answer.ask)
        answer.first.get(timeout=WAIT_SECONDS)
    waiting = Answer("b", max_tokens=3)
    engine.submit(waiting.ask)
    unread = Answer("c")
    engine.submit(unread.ask)
    unread.ask.cancel()
    assert unread.wait().end == "cancelled"
    for answer in endless:
        answer.ask.cancel()
    assert waiting.wait().end in ("length", "end")
    # Those whose text ended by itself need not be told.
    assert {answer.wait().end for answer in endless} <= {"cancelled", "end"}
    engine.close()
    assert (engine.load().running, engine.load().waiting) == (0, 0)


def test_what_takes_too_long_is_ended(engine: Engine) -> None:
    answer = Answer("a", max_tokens=10**6, top_p=1.0, deadline=time.monotonic() - 1)
    engine.submit(answer.ask)
    assert answer.wait().end == "late"
    assert answer.tokens == []


@pytest.mark.parametrize("cores", [1, 2])
def test_closing_ends_with_the_last_request_that_was_taken(cores: int) -> None:
    engine = Engine(small, CODEC, cores=cores)
    answers = [Answer("abc", max_tokens=50, seed=seed) for seed in range(40)]
    for answer in answers:
        engine.submit(answer.ask)
    engine.close()
    assert engine.closed
    assert all(answer.over.is_set() for answer in answers)
    with pytest.raises(ClosedError):
        engine.submit(Answer("x").ask)


@pytest.mark.parametrize("cores", [1, 2])
def test_closing_in_a_hurry_ends_all(cores: int) -> None:
    engine = Engine(small, CODEC, most_lanes=2, cores=cores)
    answers = [Answer("abc", max_tokens=10**6, seed=seed, top_p=1.0) for seed in range(4)]
    for answer in answers:
        engine.submit(answer.ask)
    engine.close(hurry=True)
    assert {answer.wait().end for answer in answers} <= {"cancelled", "end"}


def test_a_model_that_fails_ends_the_request_and_not_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(lambda: small(1), CODEC)
    first = Answer("abc", max_tokens=10**6, top_p=1.0)
    with monkeypatch.context() as broken:
        broken.setattr(RunningBatch, "read", lambda self: 1 / 0)
        engine.submit(first.ask)
        assert first.wait().end in ("failed", "end")
    second = Answer("abc", max_tokens=4, temperature=0.0)
    engine.submit(second.ask)
    assert second.wait().end in ("length", "end")
    engine.close()


@pytest.mark.parametrize("cores", [1, 2])
def test_a_prompt_that_cannot_be_read_ends_its_own_request_alone(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = PromptReader._read

    def broken(self: PromptReader, ask: Ask) -> Any:
        if ask.before == "broken":
            raise ZeroDivisionError
        return (yield from read(self, ask))

    monkeypatch.setattr(PromptReader, "_read", broken)
    engine = Engine(small, CODEC, cores=cores)
    answers = [Answer(prompt, temperature=0.0) for prompt in ("a", "b", "broken", "c")]
    for answer in answers:
        engine.submit(answer.ask)
    ends = [answer.wait().end for answer in answers]
    assert ends[2] == "failed"
    assert "failed" not in [*ends[:2], ends[3]]
    engine.close()
    assert (engine.load().running, engine.load().waiting) == (0, 0)


def test_a_prompt_that_was_read_is_not_read_again_and_answered_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []

    def counted(method: Any) -> Any:
        def call(self: Any, tokens: torch.Tensor, *given: Any, **options: Any) -> Any:
            if tokens.shape[1] > 1:
                read.append(tokens.shape[1])
            return method(self, tokens, *given, **options)

        return call

    engine = Engine(small, CODEC)
    # Told tokens are asked of the model itself.
    for of, name in ((Calls, "chunk"), (type(small()), "features")):
        monkeypatch.setattr(of, name, counted(getattr(of, name)))
    try:

        def ask(prompt: str, **options: Any) -> list[Any]:
            answer = Answer(prompt=prompt, max_tokens=12, **options)
            engine.submit(answer.ask)
            return [piece.text for piece in answer.wait().pieces]

        long = "a b c " * 60
        first = ask(long)
        assert read == [128, 128, 105]
        assert ask(long) == first
        assert read == [128, 128, 105]
        # One that begins like it is read from where they part, at the end of a chunk.
        ask(long + "and more")
        assert read == [128, 128, 105, 113]
        ask(long, shared_with="another")
        assert read == [128, 128, 105, 113, 128, 128, 105]
        # Each token of a prompt that is to be told has to be read.
        ask(long, likeliest=0, tell_prompt=True)
        assert read[7:] == [128, 128, 105]
    finally:
        engine.close(hurry=True)


@pytest.mark.parametrize("likeliest", [None, 2])
def test_an_answer_that_nobody_looks_at_before_its_end_comes_in_one_piece(
    engine: Engine, likeliest: int | None
) -> None:
    asked: dict[str, Any] = {"max_tokens": 20, "seed": 4, "likeliest": likeliest}
    bit_by_bit, whole, stopped = (
        Answer("ab", **asked),
        Answer("ab", **asked, whole=True),
        Answer("ab", **{**asked, "max_tokens": 10**6}, whole=True),
    )
    answered(engine, [bit_by_bit, whole], pauses=random.Random(0))
    assert len(bit_by_bit.pieces) > 5
    (piece,) = whole.pieces
    assert (piece.text, list(piece.tokens)) == (bit_by_bit.text, bit_by_bit.tokens)
    assert piece.end == bit_by_bit.end
    # One that is given up tells what it had.
    engine.submit(stopped.ask)
    while stopped.ask.first_at is None:
        time.sleep(0.001)
    stopped.ask.cancel()
    (piece,) = stopped.wait().pieces
    assert piece.end in ("cancelled", "end")
    assert piece.tokens


@pytest.mark.parametrize("kind", KINDS)
def test_several_answers_of_one_prompt_are_what_each_is_alone(kind: str) -> None:
    scratch = kind == "scratch"
    codec = CODEC if scratch else tokenizer_of(kind)
    model = small() if scratch else language_model(kind, end_id=0)

    def ask(engine: Engine, seeds: Sequence[int]) -> list[list[Piece]]:
        answers = [
            Answer("a cat sat", codec=codec, max_tokens=20, seed=seed, temperature=1.2, likeliest=1)
            for seed in seeds
        ]
        answered(engine, answers, pauses=random.Random(0))
        return [answer.pieces for answer in answers]

    alone = []
    for seed in range(4):
        # Nothing of the prompt was read before, and nobody else is there.
        engine = Engine(lambda: model, codec)
        alone += ask(engine, [seed])
        engine.close()
    engine = Engine(lambda: model, codec)
    try:
        assert ask(engine, range(4)) == alone
        # Those go on from the one state that was kept of the prompt.
        assert ask(engine, range(4)) == alone
    finally:
        engine.close(hurry=True)
