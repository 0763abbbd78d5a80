"""Completions over HTTP: what OpenAI's clients send, and what they are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.registry.models import Registry
from lmcore.model.generation import generate
from lmcore.model.sampling import GenerationConfig

SEEDED = {"seed": 5, "max_tokens": 12, "temperature": 1.0}


def streamed(served: Any, **asked: Any) -> list[dict[str, Any]]:
    """The events of a stream, which must end with `[DONE]`."""
    asked = {"model": "speeches", "prompt": "The", "stream": True, **asked}
    with served.client.stream("POST", "/v1/completions", json=asked) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_an_answer_is_what_generate_draws(served: Any) -> None:
    found = served.complete(**SEEDED)
    assert found.status_code == 200
    answer = found.json()
    version = Registry(served.home).version("speeches", "champion")
    folder = Registry(served.home).open(version)
    tokenizer = folder.load_tokenizer()
    config = GenerationConfig(max_tokens=12, temperature=1.0, top_p=1.0, seed=5)
    expected = generate(folder.load_model(), tokenizer, "The", config)
    (choice,) = answer["choices"]
    assert choice["text"] == expected.text
    assert choice["finish_reason"] == ("stop" if expected.finish == "end" else "length")
    assert (choice["index"], choice["logprobs"]) == (0, None)
    assert answer["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": expected.tokens,
        "total_tokens": 3 + expected.tokens,
    }
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert found.headers["x-lmcore-version"] == "speeches:1"
    assert answer["system_fingerprint"] == f"speeches:1:{folder.weights_sha256[:12]}"


def test_a_seed_gives_the_same_answer_and_none_another(served: Any) -> None:
    def text(**asked: Any) -> str:
        choices = served.complete(max_tokens=40, **asked).json()["choices"]
        return str(choices[0]["text"])

    assert text(seed=1) == text(seed=1)
    assert text(seed=-1) == text(seed=-1)
    assert len({text() for _ in range(4)}) > 1


@pytest.mark.parametrize(
    "more", [{}, {"logprobs": 2}, {"echo": True}, {"echo": True, "logprobs": 1}]
)
def test_a_stream_tells_what_the_whole_answer_says(served: Any, more: dict[str, Any]) -> None:
    asked = {**SEEDED, **more, "prompt": ["The", "An old"], "n": 2}
    whole = served.complete(**asked).json()
    options = {"include_usage": True}
    events = streamed(served, **asked, stream_options=options)
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == whole["usage"]
    for choice in whole["choices"]:
        parts = [
            part
            for event in events
            for part in event["choices"]
            if part["index"] == choice["index"]
        ]
        assert "".join(part["text"] for part in parts) == choice["text"]
        ends = [part["finish_reason"] for part in parts]
        assert ends == [None] * (len(ends) - 1) + [choice["finish_reason"]]
        if choice["logprobs"] is not None:
            for key, value in choice["logprobs"].items():
                told = [entry for part in parts for entry in part["logprobs"][key]]
                assert told == value
    assert {event["id"] for event in events} == {events[0]["id"]}


def test_several_prompts_and_answers_keep_their_places(served: Any) -> None:
    found = served.complete(prompt=["a", "b"], n=3, **SEEDED).json()["choices"]
    assert [choice["index"] for choice in found] == list(range(6))
    # Each has a seed of its own, counted from the request's.
    for index, choice in enumerate(found):
        alone = served.complete(prompt="ab"[index // 3], **{**SEEDED, "seed": 5 + index})
        assert alone.json()["choices"][0]["text"] == choice["text"]


def test_tokens_may_be_given_instead_of_text(served: Any) -> None:
    text = served.complete(prompt="The", **SEEDED).json()["choices"][0]["text"]
    ids = list(b"The")
    for prompt in (ids, [ids]):
        found = served.complete(prompt=prompt, **SEEDED).json()
        assert found["choices"][0]["text"] == text
        assert found["usage"]["prompt_tokens"] == 3


def test_a_prompt_is_scored_with_echo(served: Any) -> None:
    asked = {"echo": True, "logprobs": 3, "temperature": 0, "max_tokens": 1, "prompt": "Fellow"}
    choice = served.complete(**asked).json()["choices"][0]
    told = choice["logprobs"]
    assert choice["text"].startswith("Fellow")
    assert told["tokens"][:6] == list("Fellow")
    assert told["text_offset"][:6] == list(range(6))
    assert all(value < 0 for value in told["token_logprobs"])
    assert all(len(likeliest) == 3 for likeliest in told["top_logprobs"])
    # Nothing drawn: the prompt alone.
    alone = served.complete(**{**asked, "max_tokens": 0}).json()
    assert alone["choices"][0]["text"] == "Fellow"
    assert alone["choices"][0]["logprobs"]["token_logprobs"] == told["token_logprobs"][:6]
    assert alone["usage"]["completion_tokens"] == 0


def test_a_stop_text_ends_the_answer_before_it(served: Any) -> None:
    whole = served.complete(**{**SEEDED, "max_tokens": 60}).json()["choices"][0]["text"]
    stop = whole[10:12]
    found = served.complete(**{**SEEDED, "max_tokens": 60}, stop=[stop, "never there"])
    (choice,) = found.json()["choices"]
    assert choice["text"] == whole[: whole.find(stop)]
    assert choice["finish_reason"] == "stop"


def test_what_openai_may_send_and_changes_nothing_is_taken(served: Any) -> None:
    neutral = {
        "best_of": 1,
        "user": "ada",
        "suffix": None,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logit_bias": {},
        "stop": None,
        "stream": False,
        "logprobs": None,
        "top_p": 1,
        "n": None,
    }
    assert served.complete(**SEEDED, **neutral).status_code == 200
    # A nucleus of nothing is the likeliest token, whatever the seed.
    texts = {
        served.complete(max_tokens=8, top_p=0, seed=seed).json()["choices"][0]["text"]
        for seed in range(4)
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"model": "others"}, 404, "model"),
        ({"model": "speeches:99"}, 404, "model"),
        ({"model": "speeches:x"}, 404, "model"),
        ({"model": "speeches@nobody"}, 404, "model"),
        ({"model": 7}, 400, "model"),
        ({"prompt": 7}, 400, "prompt"),
        ({"prompt": []}, 400, "prompt"),
        ({"prompt": [1, "a"]}, 400, "prompt"),
        ({"prompt": [[-1]]}, 400, "prompt"),
        ({"prompt": [[999]]}, 400, "prompt"),
        ({"prompt": ["a"] * 65}, 413, "prompt"),
        ({"prompt": "a" * 70_000}, 413, "prompt"),
        ({"max_tokens": -1}, 400, "max_tokens"),
        ({"max_tokens": 10**9}, 400, "max_tokens"),
        ({"max_tokens": 1.5}, 400, "max_tokens"),
        ({"max_tokens": True}, 400, "max_tokens"),
        ({"max_tokens": 4096, "n": 8}, 400, "max_tokens"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"temperature": 2.1}, 400, "temperature"),
        ({"top_p": -0.1}, 400, "top_p"),
        ({"n": 0}, 400, "n"),
        ({"best_of": 3}, 400, "best_of"),
        ({"stop": ""}, 400, "stop"),
        ({"stop": ["a", "b", "c", "d", "e"]}, 400, "stop"),
        ({"logprobs": 6}, 400, "logprobs"),
        ({"seed": 1 << 70}, 400, "seed"),
        ({"suffix": "x"}, 400, "suffix"),
        ({"presence_penalty": 1}, 400, "presence_penalty"),
        ({"logit_bias": {"5": 1}}, 400, "logit_bias"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options"),
        ({"temprature": 1}, 400, "temprature"),
    ],
)
def test_what_is_wrong_is_named(
    served: Any, asked: dict[str, Any], status: int, param: str
) -> None:
    found = served.complete(**asked)
    assert found.status_code == status, found.text
    error = found.json()["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert param in error["message"] or status in (404, 413)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"model": "speeches", "prompt": "\\ud800"}',
        b'{"model": "speeches", "temperature": NaN}',
        b'{"model": "speeches", "model": "speeches"}',
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b'{"model": "speeches", "max_tokens": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_is_none_is_refused(served: Any, body: bytes) -> None:
    for path in ("/v1/completions", "/v1/predict", "/v1/chat/completions"):
        found = served.client.post(path, content=body)
        assert found.status_code == 400, (path, found.text)
        assert found.json()["error"]["type"] == "invalid_request_error"
    assert served.complete(max_tokens=1).status_code == 200


def test_chat_needs_a_template_and_predict_a_task(served: Any) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    chat = served.client.post(
        "/v1/chat/completions", json={"model": "speeches", "messages": messages}
    )
    assert chat.status_code == 400
    assert "chat template" in chat.json()["error"]["message"]
    predict = served.client.post("/v1/predict", json={"model": "speeches", "input": "x"})
    assert predict.status_code == 400
    assert "/v1/completions" in predict.json()["error"]["message"]
    assert (
        served.client.post("/v1/predict", json={"model": "speeches", "input": []}).status_code
        == 400
    )
