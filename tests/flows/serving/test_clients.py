"""Clients that people really use ask the server as they ask any other."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from typing import Any

import openai
import pytest


@pytest.fixture
def client(served: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


ASKED: dict[str, Any] = {"model": "speeches", "prompt": "The", "max_tokens": 20, "seed": 4}


def test_openai_asks_for_a_completion(client: openai.OpenAI) -> None:
    first = client.completions.create(**ASKED)
    again = client.completions.create(**ASKED)
    assert first.choices[0].text == again.choices[0].text
    assert first.choices[0].finish_reason in ("length", "stop")
    assert first.usage is not None
    assert first.usage.prompt_tokens == 3
    assert first.usage.total_tokens == 3 + first.usage.completion_tokens
    assert str(first.system_fingerprint).startswith("speeches:1:")
    told = client.completions.create(**ASKED, logprobs=2, echo=True).choices[0].logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.tokens[:3] == ["T", "h", "e"]


def test_openai_reads_a_stream(client: openai.OpenAI) -> None:
    whole = client.completions.create(**ASKED).choices[0].text
    options: Any = {"include_usage": True}
    events = list(client.completions.create(**ASKED, stream=True, stream_options=options))
    assert "".join(c.text for event in events for c in event.choices) == whole
    assert events[-1].usage is not None


def test_openai_asks_many_at_once(served: Any) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
            asked = [{**ASKED, "seed": seed} for seed in range(16)]
            found = await asyncio.gather(*(client.completions.create(**one) for one in asked))
            return [answer.choices[0].text for answer in found]

    texts = asyncio.run(ask())
    for seed in (0, 7, 15):
        alone = served.complete(max_tokens=20, seed=seed).json()["choices"][0]["text"]
        assert texts[seed] == alone


def test_openai_understands_refusals(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(**{**ASKED, "model": "others"})
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.completions.create(**{**ASKED, "max_tokens": -1})
    assert wrong.value.param == "max_tokens"
    messages: Any = [{"role": "user", "content": "Hello"}]
    with pytest.raises(openai.BadRequestError, match="chat template"):
        client.chat.completions.create(model="speeches", messages=messages)
    (model,) = client.models.list().data
    assert model.id == "speeches"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is here")
def test_curl_reads_a_stream(served: Any) -> None:
    done = subprocess.run(
        [
            *("curl", "--silent", "--no-buffer", "--noproxy", "*", f"{served.url}/v1/completions"),
            *("-H", "Content-Type: application/json"),
            *("-d", '{"model": "speeches", "prompt": "The", "max_tokens": 5, "stream": true}'),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.rstrip().endswith("data: [DONE]")
