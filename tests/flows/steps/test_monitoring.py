"""What an answer depends on; what is measured, the tests of the flow try."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows.registry.versions import Version
from flows.steps import monitoring
from flows.steps.monitoring import InUse, answer_of, monitor_key
from lmcore.config import RunConfig
from lmcore.data.copies.removal import Removals
from lmcore.data.requests.lines import Asked
from lmcore.data.sources.located import SourceFingerprint

NOBODY = InUse(asked=(), feedback=())
SOURCES = SourceFingerprint(digest="s" * 64, files=1, bytes=5)


def asked(text: str) -> InUse:
    line = Asked(
        id="1", index=0, at="2026-11-28", client="shop", version=1, task="language_modelling",
        text=text,
    )  # fmt: skip
    return InUse(asked=(line,), feedback=())


def test_a_key_is_another_one_with_whatever_may_move_an_answer(
    register: Callable[..., Version],
    small_config: Callable[..., RunConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    champion, config = register(), small_config()

    def key(
        config: RunConfig = config,
        champion: Version = champion,
        use: InUse = NOBODY,
        sources: SourceFingerprint | None = SOURCES,
    ) -> str:
        return monitor_key(config, champion, use, sources=sources, removals=Removals())

    assert key() == key()
    found = [
        key(),
        key(small_config(monitor={"min_documents": 7})),
        key(small_config(training={"seed": 7})),
        key(champion=replace(champion, manifest_sha256="0" * 64)),
        key(use=asked("one")),
        key(use=asked("two")),
        key(sources=replace(SOURCES, digest="t" * 64)),
        key(sources=None),
    ]
    monkeypatch.setattr(monitoring, "processor_name", lambda: "another one")
    found.append(key())
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("drifted", ["documents", "requests", "feedback", ""])
def test_what_has_drifted_speaks_first(
    drifted: str, register: Callable[..., Version], small_config: Callable[..., RunConfig]
) -> None:
    def said(what: str) -> dict[str, Any]:
        return {"outcome": "DRIFTED" if what == drifted else "STABLE", "reason": what}

    measured = {**said("documents"), "documents": {"fresh": 9}, "requests": said("requests")}
    answer = answer_of(small_config(), register(), measured, right=said("feedback"), told=True)
    assert answer["reason"] == (drifted or "documents")
    assert answer["outcome"] == ("DRIFTED" if drifted else "STABLE")
    assert answer["unchanged_since"] is None
    json.dumps(answer)
