"""Questions of an evaluation that several workers ask: the same report, whoever asked what."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed, Crashed, Pending, Running, Scheduled

from flows.home.folders import Home
from flows.notices import signs_of_life
from flows.steps import shards
from flows.steps.shard import SHARDS, Shard
from flows.steps.shards import answer, share_out
from lmcore.config import RunConfig
from lmcore.errors import IntegrityError
from lmcore.evaluation import kept_parts
from lmcore.evaluation.evaluate import Helpers, evaluate_model
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.report import EvalReport


@pytest.fixture
def config(small_config: Callable[..., RunConfig]) -> RunConfig:
    return small_config(gates={"evaluation": {"free_samples": 5, "resamples": 1000}})


def test_a_worker_that_is_alone_asks_everything_and_says_so(
    made: Any, config: RunConfig, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    challenge = Challenge(checkpoint=made.checkpoint)
    monkeypatch.delenv(SHARDS, raising=False)
    assert not share_out(config, made.run.home, made.corpus, challenge, [])
    assert caplog.text == ""
    monkeypatch.setenv(SHARDS, "4")
    assert not share_out(config, made.run.home, made.corpus, challenge, [])
    assert "needs homes that share content" in caplog.text


# -- other homes -------------------------------------------------------------------------------


@pytest.fixture
def shared(made: Any, tmp_path: Path, new_home: Callable[[str], Home]) -> tuple[Home, Home]:
    """The home where everything was made, and one with nothing; both share a folder."""
    place = str(tmp_path / "shared")
    first = replace(made.run.home, shared_content=place)
    for handle in (made.documents, made.corpus.tokenizer, made.corpus.shards, made.checkpoint):
        first.store.publish(handle)
    return first, replace(new_home("other"), shared_content=place)


def told(made: Any, number: int, of: int, **changes: Any) -> Shard:
    return Shard(
        documents=made.documents.key,
        tokenizer=made.corpus.tokenizer.key,
        shards=made.corpus.shards.key,
        checkpoint=made.checkpoint.key,
        champion=None,
        number=number,
        of=of,
    ).model_copy(update=changes)


def report(
    home: Home,
    made: Any,
    config: RunConfig,
    *,
    others: Callable[[Any], bool] = lambda questions: False,
) -> EvalReport:
    return evaluate_model(
        home.store,
        made.corpus,
        challenge=Challenge(checkpoint=made.checkpoint),
        gates=config.gates,
        seed=config.training.seed,
        helpers=Helpers(share_out=others),
    )


def content(found: EvalReport) -> dict[str, bytes]:
    """All but the manifest, which tells seconds."""
    files = sorted(found.path.iterdir())
    return {path.name: path.read_bytes() for path in files if path.name != "manifest.json"}


@pytest.fixture
def nothing_kept(made: Any) -> Iterator[None]:
    """No report of before, and none that another test would find."""
    import shutil

    place = made.run.home.content / EvalReport.kind
    aside = place.with_name("aside")
    if place.exists():
        place.rename(aside)
    yield
    shutil.rmtree(place, ignore_errors=True)
    if aside.exists():
        aside.rename(place)


@pytest.mark.usefixtures("nothing_kept")
def test_four_shares_of_another_home_are_the_report_of_one(
    made: Any, shared: tuple[Home, Home], config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    first, second = shared
    alone = content(report(replace(first, shared_content=None), made, config))
    shutil.rmtree(first.content / EvalReport.kind)
    for number in (3, 1, 0, 2):
        assert answer(config, second, told(made, number, 4))
    assert list((second.content / kept_parts.KeptPart.kind).glob("[!.]*")) == []

    def asked(self: Any, name: str, ask: Any, *others: Any) -> Any:
        if name in ("reference", "contamination"):  # counted where the report is put together
            return once(self, name, ask, *others)
        return once(self, name, lambda: pytest.fail(f"{name} is asked again"), *others)

    once = kept_parts.KeptParts.once
    monkeypatch.setattr(kept_parts.KeptParts, "once", asked)
    together = report(first, made, config, others=lambda _: True)
    assert content(together) == alone


def test_what_would_be_of_no_use_is_not_asked(
    made: Any, shared: tuple[Home, Home], config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ask_shard", lambda *_, **__: pytest.fail("asked"))
    assert not answer(config, shared[1], told(made, 0, 2, champion=7))


def test_a_store_that_others_do_not_share_is_one_sentence(
    made: Any, shared: tuple[Home, Home], config: RunConfig, tmp_path: Path
) -> None:
    elsewhere = replace(shared[1], shared_content=str(tmp_path / "elsewhere"))
    with pytest.raises(IntegrityError, match="see that LMCORE_CONTENT names the same place"):
        answer(config, elsewhere, told(made, 0, 2))


# -- who asks what -----------------------------------------------------------------------------


@dataclass
class Run:
    id: UUID
    state: State[Any]


class Client:
    """A server that says of each run what a list says, one after the other."""

    def __init__(self, *states: list[State[Any]]) -> None:
        self.runs = {uuid4(): list(several) for several in states}
        self.set: list[UUID] = []

    def read_flow_run(self, run: UUID) -> Run:
        states = self.runs[run]
        return Run(run, states.pop(0) if len(states) > 1 else states[0])

    def set_flow_run_state(self, run: UUID, state: State[Any], *, force: bool) -> None:
        assert force
        assert state.is_cancelled()
        self.set.append(run)
        self.runs[run] = [state]


def finished(client: Client, monkeypatch: pytest.MonkeyPatch, *, silent: bool = False) -> list[int]:
    """Shares that are asked here, in order."""
    monkeypatch.setattr(shards, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(signs_of_life, "is_silent", lambda *_: silent)
    asked: list[int] = []
    others = dict(enumerate(client.runs, start=1))
    shards._finish(client, others, asked.append)  # type: ignore[arg-type]
    return asked


def test_what_others_finish_is_not_asked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client([Running(), Running(), Completed()], [Completed()])
    assert finished(client, monkeypatch) == []
    assert client.set == []


def test_what_nobody_has_begun_is_taken_back_from_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=61)
    stuck: State[Any] = Pending(timestamp=long_ago)
    client = Client([Running(), Running(), Completed()], [stuck], [Scheduled()])
    assert finished(client, monkeypatch) == [3, 2]
    assert client.set == list(client.runs)[:0:-1]
    # Its process is about to begin.
    taken = Client([Pending(), Running(), Completed()])
    assert (finished(taken, monkeypatch), taken.set) == ([], [])


def test_what_failed_or_fell_silent_is_asked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client([Running(), Crashed()])
    assert finished(client, monkeypatch) == [1]
    assert client.set == []
    client = Client([Running()])
    assert finished(client, monkeypatch, silent=True) == [1]
