"""Who cuts a text changes nothing, and a process that is killed is told in a sentence."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lmcore.content_store import ContentStore
from lmcore.controls.bench import make_document, make_document_set
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens import cutting
from lmcore.data.tokens.cutting import cutter_for
from lmcore.data.tokens.tokenizer import TokenizerHandle, fit_tokenizer
from lmcore.errors import SourceError

TEXTS = [f"Text {number} of many, it's about {number % 7} things. 東京" for number in range(200)]
BATCHES = [TEXTS[start : start + 20] for start in range(0, 200, 20)]


@pytest.fixture(params=["bpe", "word"])
def handle(tmp_path: Path, request: pytest.FixtureRequest) -> TokenizerHandle:
    store = ContentStore(tmp_path)
    documents = make_document_set(store, [make_document(text) for text in TEXTS])
    config = TokenizerConfig.model_validate({"kind": request.param, "vocab_size": 400})
    return fit_tokenizer(store, documents, config=config)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@pytest.mark.parametrize("num_bytes", [0, cutting.WORTH_BYTES])
@pytest.mark.usefixtures("two_cores")
def test_batches_come_back_in_order_as_one_after_the_other(
    handle: TokenizerHandle, num_bytes: int
) -> None:
    expected = [handle.load().encode_batch(batch) for batch in BATCHES]
    with cutter_for(handle.load(), folder=handle.path, num_bytes=num_bytes) as cutter:
        for _ in range(2):
            found = [[ids.tolist() for ids in batch] for batch in cutter(BATCHES)]
            assert found == expected
        assert list(cutter([])) == []
        assert [list(batch) for batch in cutter([[]])] == [[]]


@pytest.mark.parametrize("handle", ["bpe"], indirect=True)
@pytest.mark.usefixtures("two_cores")
def test_few_batches_are_asked_for_ahead(handle: TokenizerHandle) -> None:
    taken = 0

    def batches() -> Iterator[list[str]]:
        nonlocal taken
        for batch in BATCHES:
            taken += 1
            yield batch

    with cutter_for(handle.load(), folder=handle.path, num_bytes=cutting.WORTH_BYTES) as cutter:
        next(cutter(batches()))
        assert taken == 4


@pytest.mark.parametrize("handle", ["bpe"], indirect=True)
@pytest.mark.usefixtures("two_cores")
def test_a_process_that_is_killed_is_told_in_a_sentence(handle: TokenizerHandle) -> None:
    def batches() -> Iterator[list[str]]:
        yield from BATCHES[:3]
        for child in psutil.Process().children(recursive=True):
            if "popen_loky" in " ".join(child.cmdline()):
                child.send_signal(signal.SIGKILL)
        yield from BATCHES * 20

    with (
        pytest.raises(SourceError, match=r"was ended from outside.*the same command goes on"),
        cutter_for(handle.load(), folder=handle.path, num_bytes=cutting.WORTH_BYTES) as cutter,
    ):
        list(cutter(batches()))
