"""The interface around the answers: state, models, measures, the page."""

from __future__ import annotations

import concurrent.futures
import threading
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.registry.models import Registry
from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from lmcore.data.config import DataConfig
from lmcore.data.text.masking import DocumentMasking
from lmcore.tasks.prediction import Prediction


def measured(served: Any) -> dict[tuple[str, ...], float]:
    """Samples of `/metrics` by name and labels, read by Prometheus' own parser."""
    text = served.client.get("/metrics").text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_it_says_that_it_lives_and_what_it_serves(served: Any) -> None:
    assert served.client.get("/health").text == "ok"
    assert served.client.get("/ready").json() == {"ready": True, "problems": []}
    listed = served.client.get("/v1/models").json()
    (one,) = listed["data"]
    assert (listed["object"], one["id"], one["object"], one["version"]) == (
        "list",
        "speeches",
        "model",
        1,
    )
    assert served.client.get("/v1/models/speeches").json() == one
    assert served.client.get("/v1/models/speeches:2").json()["version"] == 2
    assert served.client.get("/v1/models/others").status_code == 404


def test_unknown_paths_and_methods_are_refused_in_the_same_form(served: Any) -> None:
    for found, status in (
        (served.client.get("/v1/nothing"), 404),
        (served.client.get("/v1/completions"), 405),
        (served.client.delete("/v1/models"), 405),
    ):
        assert found.status_code == status
        assert set(found.json()["error"]) == {"message", "type", "param", "code"}


def test_requests_are_measured(served: Any) -> None:
    before = measured(served)
    served.complete(max_tokens=5, seed=1)
    served.complete(max_tokens=-1)
    served.complete(model="x" * 30)
    after = measured(served)

    def more(*key: str) -> float:
        return after.get(key, 0.0) - before.get(key, 0.0)

    assert more("lmcore_requests_total", "200", "completions", "speeches") == 1
    assert more("lmcore_requests_total", "404", "completions", "unknown") == 1
    assert more("lmcore_requests_total", "400", "completions", "unknown") == 1
    assert more("lmcore_tokens_total", "prompt", "speeches") == 3
    assert 0 < more("lmcore_tokens_total", "completion", "speeches") <= 5
    assert more("lmcore_first_token_seconds_count", "speeches") == 1
    assert more("lmcore_request_seconds_count", "completions", "speeches") == 1
    assert after["lmcore_version_in_use", "champion", "speeches"] == 1
    assert after["lmcore_requests_running", "speeches", "1"] == 0
    assert after["lmcore_version_loads_total", "speeches", "loaded"] >= 1
    assert any(key[0] == "lmcore_batch_lanes_bucket" for key in after)


def test_the_page_asks_no_address(served: Any) -> None:
    page = served.client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for part in ("/v1/completions", "max_tokens", "Continue a text."):
        assert part in page.text
    for mark in ("http://", "https://", "<script", "src="):
        assert mark not in page.text
    assert served.client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_many_at_once_get_what_each_would_alone(served: Any) -> None:
    def ask(seed: int) -> str:
        with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as client:
            asked = {"model": "speeches", "prompt": "a" * (seed % 7), "seed": seed}
            found = client.post("/v1/completions", json={**asked, "max_tokens": 30})
        assert found.status_code == 200, found.text
        return str(found.json()["choices"][0]["text"])

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        together = list(pool.map(ask, range(32)))
    assert together == [ask(seed) for seed in range(32)]


def test_too_many_wait(serve_home: Any, served_home: Any) -> None:
    limits = Limits(lanes=4, waiting=2)
    with serve_home(served_home, limits=limits) as served:
        found = served.complete(prompt=["a"] * 20, max_tokens=200)
        assert found.status_code == 429
        assert found.headers["retry-after"] == "1"
        assert found.json()["error"]["code"] == "rate_limit_exceeded"
        assert served.complete(max_tokens=2).status_code == 200


def test_too_long_ends_with_what_there_is(serve_home: Any, served_home: Any) -> None:
    with serve_home(served_home, limits=Limits(seconds=0.0)) as served:
        assert served.complete(max_tokens=200).status_code == 429


def test_who_goes_away_frees_the_lane(serve_home: Any, served_home: Any, wait_until: Any) -> None:
    with serve_home(served_home, limits=Limits(lanes=4)) as served:
        asked = {"model": "speeches", "max_tokens": 4096, "stream": True}
        with served.client.stream("POST", "/v1/completions", json=asked) as response:
            next(response.iter_lines())
        engine = served.desk.take("speeches").engine
        wait_until(lambda: engine.load().running == 0)
        # Also one who waits for the whole answer.
        plain = {"model": "speeches", "max_tokens": 4096, "prompt": ["a"] * 4}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{served.url}/v1/completions", json=plain, timeout=0.02, trust_env=False)
        wait_until(lambda: engine.load().running == 0)


class Echo:
    """A task that answers with what it was asked."""

    record = SimpleNamespace(labels=("A", "B"))
    masking = DocumentMasking.of(DataConfig())

    def predict(self, texts: list[str]) -> list[Prediction]:
        return [
            Prediction(input=t, output=t.upper(), probabilities=None, truncated=False, tokens=1)
            for t in texts
        ]


def test_a_task_answers_in_the_shape_of_predict(
    serve_home: Any, served_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(version: Any, folder: Any, *, limits: Limits, on_step: Any) -> Loaded:
        return Loaded(version, folder, predictor=Echo(), limits=limits)  # type: ignore[arg-type]

    monkeypatch.setattr(Loaded, "load", load)
    with serve_home(served_home, limits=Limits(texts=3)) as served:

        def predict(given: Any) -> httpx.Response:
            return served.client.post("/v1/predict", json={"model": "speeches", "input": given})

        first = predict("a").json()
        assert first.pop("id").startswith("pred-")
        assert first == {
            "model": "speeches",
            "version": 1,
            "predictions": [
                {
                    "input": "a",
                    "output": "A",
                    "probabilities": None,
                    "truncated": False,
                    "note": None,
                }
            ],
        }
        assert [p["output"] for p in predict(["a", "", "b"]).json()["predictions"]] == [
            "A",
            "",
            "B",
        ]
        assert predict(["a"] * 4).status_code == 413
        assert predict(5).json()["error"]["param"] == "input"
        wrong = served.complete()
        assert wrong.status_code == 400
        assert "/v1/predict" in wrong.json()["error"]["message"]


def test_requests_follow_promotions_and_none_fails(
    serve_home: Any, served_home: Any, go: Any
) -> None:
    """Each answer is wholly of one version, and of one that was in use meanwhile."""
    with serve_home(served_home) as served:
        texts: dict[str, set[str]] = {}
        stop, problems = threading.Event(), []
        asked = {"model": "speeches", "prompt": "The", "seed": 3, "max_tokens": 30}

        def ask() -> None:
            with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as client:
                while not stop.is_set():
                    found = client.post("/v1/completions", json=asked)
                    if found.status_code != 200:
                        problems.append(found.text)
                        return
                    version = found.headers["x-lmcore-version"]
                    texts.setdefault(version, set()).add(found.json()["choices"][0]["text"])

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            waiting = [pool.submit(ask) for _ in range(6)]
            try:
                for number, before in ((2, 1), (3, 2), (1, 3), (2, 1)):
                    go(served.home, number, before)
                    name = f"speeches:{number}"
                    while served.complete(max_tokens=1).headers["x-lmcore-version"] != name:
                        pass
            finally:
                stop.set()
        for one in waiting:
            one.result()
    assert problems == []
    assert {"speeches:1", "speeches:2", "speeches:3"} <= set(texts)
    # The same seed gives one text a version.
    assert all(len(found) == 1 for found in texts.values())
    assert Registry(served_home).version("speeches", "champion").number == 2
