from typing import Any

import pytest

from flows.serving.protocol import CompletionRequest, PredictRequest
from flows.serving.refusal import RefusalError, read


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        (None, [""]),
        ("a", ["a"]),
        (["a", ""], ["a", ""]),
        ([1, 2], [[1, 2]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
        ([], []),
    ],
)
def test_a_prompt_has_four_forms(prompt: Any, prompts: Any) -> None:
    asked = read(CompletionRequest, {"model": "m", "prompt": prompt})
    assert asked.prompts() == prompts
    assert asked.size == sum(map(len, prompts))


def test_defaults_are_those_of_the_reference() -> None:
    asked = read(CompletionRequest, {"model": "m", "prompt": "a"})
    assert (asked.max_tokens, asked.temperature, asked.top_p, asked.n) == (16, 1.0, 1.0, 1)
    assert (asked.stops, asked.stream, asked.echo, asked.logprobs) == ((), False, False, None)
    assert read(CompletionRequest, {"model": "m", "stop": "x"}).stops == ("x",)
    assert read(PredictRequest, {"model": "m", "input": "x"}).texts == ["x"]


@pytest.mark.parametrize(
    ("values", "param", "words"),
    [
        ({}, "model", "Field required"),
        ({"model": "m", "max_token": 3}, "max_token", "unknown; expected one of model, "),
        ({"model": "m", "n": "2"}, "n", "valid integer"),
        ({"model": "m", "stop": ["a"] * 5}, "stop", "at most 4"),
        ({"model": "m", "best_of": 2}, "best_of", "only 1"),
        ({"model": "m", "prompt": ["a", 1]}, "prompt", "valid string"),
    ],
)
def test_one_sentence_names_the_key(values: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(RefusalError) as refused:
        read(CompletionRequest, values)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert words in refused.value.message
