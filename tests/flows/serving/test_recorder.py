"""What is asked comes back: masked, bounded, and nothing unless it is said."""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.home.environment import Home
from flows.serving.access import Keys
from lmcore.data.requests.config import ServeConfig
from lmcore.data.requests.lines import Asked, Feedback
from lmcore.data.requests.parts import ASKED, FEEDBACK, PartWriter, read_lines

SAMPLED = ServeConfig(record="sampled", share=1.0)
KEY = "0123456789abcdef"


@pytest.fixture
def recording(
    serve_home: Callable[..., contextlib.AbstractContextManager[Any]], served_home: Home
) -> Callable[..., contextlib.AbstractContextManager[Any]]:
    def start(settings: ServeConfig = SAMPLED, **more: Any) -> Any:
        return serve_home(served_home, settings={"speeches": settings}, **more)

    return start


def kept(home: Home, kind: str) -> list[Any]:
    return list(read_lines(home.requests / "speeches" / kind))


def say(served: Any, **said: Any) -> httpx.Response:
    return served.client.post("/v1/feedback", json={"model": "speeches", **said})


def test_nothing_is_kept_by_default(serve_home: Any, served_home: Home) -> None:
    with serve_home(served_home) as served:
        answer = served.complete(max_tokens=3).json()
        refused = say(served, id=answer["id"], rating="up")
        assert refused.status_code == 400
        assert "serve: {record: sampled}" in refused.json()["error"]["message"]
    assert not served_home.requests.exists()


def test_requests_and_feedback_are_kept_masked(recording: Any, served_home: Home) -> None:
    with recording(keys=Keys.of({"shop": KEY})) as served:
        served.client.headers["Authorization"] = f"Bearer {KEY}"
        prompt = "Write to ada.lovelace@example.org about the engine"
        first = served.complete(prompt=[prompt, "The"], n=2, max_tokens=4, seed=1).json()
        lines = served.complete(prompt="A stream", max_tokens=4, stream=True).text
        assert "[DONE]" in lines
        assert say(served, id=first["id"], index=2, rating="up").status_code == 200
        wrong = {"correction": "call +49 30 901820 instead", "id": first["id"], "index": 0}
        assert say(served, **wrong).status_code == 200
        assert say(served, **wrong).status_code == 409
        assert say(served, input="The", output="x", rating="down").status_code == 200
    asked = [line for line in kept(served_home, ASKED) if isinstance(line, Asked)]
    assert [line.text for line in asked] == [
        "Write to <EMAIL> about the engine",
        "The",
        "A stream",
    ]
    assert {(line.client, line.version, line.task) for line in asked} == {
        ("shop", 1, "language_modelling")
    }
    up, correction, told = (f for f in kept(served_home, FEEDBACK) if isinstance(f, Feedback))
    assert (up.text, up.rating, up.accepted) == ("The", "up", first["choices"][2]["text"])
    assert correction.accepted is not None
    assert "901820" not in correction.accepted
    assert (told.id, told.right, told.accepted) == ("", False, None)
    files = [path for path in served_home.requests.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert not any(b"lovelace" in path.read_bytes() for path in files)


def test_a_share_is_sampled_and_feedback_is_kept_all_the_same(
    recording: Any, served_home: Home
) -> None:
    with recording(ServeConfig(record="sampled", share=1e-9)) as served:
        answer = served.complete(max_tokens=3, seed=1).json()
        assert say(served, id=answer["id"], rating="down").status_code == 200
    assert kept(served_home, ASKED) == []
    assert len(kept(served_home, FEEDBACK)) == 1


@pytest.mark.parametrize(
    ("said", "status", "told"),
    [
        ({"id": "cmpl-unknown", "rating": "up"}, 404, "tell input and output instead"),
        ({"id": "x"}, 400, "say rating, label or correction"),
        ({"rating": "up"}, 400, "name the answer by its id"),
        ({"input": "a", "rating": "up"}, 400, "tell what it was"),
        ({"id": "x", "input": "a", "rating": "up"}, 400, "known by its id"),
        ({"input": "a", "label": "good"}, 400, "it has no labels"),
        ({"input": "a", "label": "x", "correction": "y"}, 400, "a label and a correction"),
        ({"id": "x", "rating": "up", "correction": "y"}, 400, "say which one is right"),
        ({"id": "x", "rating": "maybe"}, 400, "rating"),
        ({"id": "x", "rating": "up", "index": -1}, 400, "index"),
        ({"input": "a" * 140_000, "correction": "b"}, 400, "input"),
    ],
)
def test_feedback_that_says_nothing_is_refused(
    recording: Any, said: dict[str, Any], status: int, told: str
) -> None:
    with recording() as served:
        found = say(served, **said)
        assert (found.status_code, told in found.json()["error"]["message"]) == (status, True)


def test_a_full_disk_is_told_and_answers_go_on(
    recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: PartWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with recording() as served:
        monkeypatch.setattr(PartWriter, "flush", full)
        answer = served.complete(max_tokens=3, seed=1)
        assert answer.status_code == 200
        refused = say(served, id=answer.json()["id"], rating="up")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "60"
        problems = served.client.get("/ready").json()["problems"]
        assert problems == ["requests cannot be kept (No space left on device)"]
        assert served.complete(max_tokens=3).status_code == 200
        monkeypatch.undo()


def test_many_at_once_lose_nothing(recording: Any, served_home: Home) -> None:
    with recording() as served, concurrent.futures.ThreadPoolExecutor(8) as pool:

        def ask(number: int) -> int:
            answer = served.complete(prompt=f"Number {number}", max_tokens=2, seed=number).json()
            return say(served, id=answer["id"], rating="up").status_code

        assert list(pool.map(ask, range(40))) == [200] * 40
    assert {line.text for line in kept(served_home, ASKED)} == {f"Number {i}" for i in range(40)}
    assert len(kept(served_home, FEEDBACK)) == 40


def test_the_old_model_leaves_memory_though_its_answers_are_remembered(
    recording: Any, served_home: Home, go: Any, wait_until: Any
) -> None:
    with recording() as served:
        answer = served.complete(max_tokens=3, seed=1).json()
        old = served.desk.take("speeches").engine
        go(served_home, 2, 1)
        wait_until(lambda: served.complete(max_tokens=1).headers["X-Lmcore-Version"].endswith("2"))
        wait_until(lambda: old.closed)
        # Feedback names the version that answered.
        assert say(served, id=answer["id"], rating="up").status_code == 200
    assert [line.version for line in kept(served_home, FEEDBACK)] == [1]


def test_what_a_killed_server_left_is_sealed(recording: Any, served_home: Home) -> None:
    folder = served_home.requests / "speeches" / ASKED
    folder.mkdir(parents=True)
    line = b'{"kind": "asked", "id": "a", "index": 0, "at": "t", "client": "c", "version": 1,'
    line += b' "task": "language_modelling", "text": "before"}\n'
    Path(folder / ".open-0123456789abcdef").write_bytes(line + b'{"kind": "as')
    with recording() as served:
        served.complete(prompt="after", max_tokens=1)
    assert sorted(one.text for one in kept(served_home, ASKED)) == ["after", "before"]
