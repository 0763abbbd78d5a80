import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flows.commands.shared.own_text import prepare_text
from flows.home.environment import make_home
from flows.home.signals import StoppedError, polite_signals
from lmcore.errors import SourceError
from lmcore.manifest import MANIFEST


def test_the_text_is_prepared_as_a_run_prepares_it(trained_shell: Any, made: Any) -> None:
    content = trained_shell.home.content
    before = sorted(content.rglob("*"))
    prepared = prepare_text(made.run.config, trained_shell.home)
    corpus = prepared.corpus
    assert prepared.base is None
    assert corpus.documents.key == made.documents.key
    assert corpus.tokenizer.key == made.corpus.tokenizer.key
    assert corpus.shards.key == made.corpus.shards.key
    # A run has done it before, and nothing is done twice.
    assert sorted(content.rglob("*")) == before


def test_nothing_of_a_run_is_needed(made: Any, tmp_path: Any) -> None:
    home = make_home(tmp_path / "home")
    corpus = prepare_text(made.run.config, home).corpus
    assert corpus.shards.key == made.corpus.shards.key
    assert not home.mlflow_database.exists()


def test_a_wrong_source_is_named(small_config: Any, tmp_path: Any) -> None:
    config = small_config(sources=[{"path": str(tmp_path / "gone.txt"), "license": "CC0-1.0"}])
    with pytest.raises(SourceError, match=r"gone\.txt"):
        prepare_text(config, make_home(tmp_path / "home"))


# A connection that was just being opened is closed when it is found.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_at_any_moment_leaves_what_is_whole_or_nothing(made: Any, tmp_path: Any) -> None:
    started = time.perf_counter()
    whole = make_home(tmp_path / "whole")
    prepare_text(made.run.config, whole)
    seconds, moments, stopped = time.perf_counter() - started, random.Random(0), 0
    for attempt in range(30):
        home = make_home(tmp_path / f"home-{attempt}")
        arguments = threading.main_thread().ident, signal.SIGTERM
        timer = threading.Timer(moments.uniform(0.0, seconds), signal.pthread_kill, arguments)
        with polite_signals():
            timer.start()
            try:
                prepare_text(made.run.config, home)
            except StoppedError:
                stopped += 1
            timer.join()
        corpus = prepare_text(made.run.config, home).corpus
        assert corpus.shards.key == made.corpus.shards.key
        assert _bytes(home.content) == _bytes(whole.content)
    assert stopped


def _bytes(content: Path) -> dict[str, bytes]:
    """What the content store holds, by place, but for when it was made and what was new then."""
    return {
        str(path.relative_to(content)): path.read_bytes()
        for path in content.rglob("*")
        if path.is_file() and path.name not in (MANIFEST, "ledger.json")
    }


def test_a_stop_is_obeyed_between_two_steps(made: Any, tmp_path: Any) -> None:
    home = make_home(tmp_path / "home")
    with polite_signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(StoppedError, match="finished steps are kept, and the same command"):
            prepare_text(made.run.config, home)
    assert [*home.content.iterdir()] == []
    with polite_signals():  # forgets that anything was asked
        assert prepare_text(made.run.config, home).corpus.documents.key == made.documents.key
