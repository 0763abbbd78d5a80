from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.home.folders import make_home
from flows.steps.ingest_documents import fingerprint, ingest_documents
from flows.steps.tokenize_documents import tokenize_documents
from lmcore.tasks.base_model import BaseModel

SECRET = "q7 zk 3w of an earlier training"


def test_the_same_documents_are_the_same_corpus(
    made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    corpus = tokenize_documents(made.run.config, made.documents, made.run.home, made.start)
    assert corpus.shards.key == made.corpus.shards.key
    assert "tokenize: byte, 25" in caplog.text
    assert corpus.shards.canaries() is None


def test_a_training_that_goes_on_keeps_the_tokenizer_and_what_it_may_not_emit(
    made: Any, small_config: Any
) -> None:
    config = small_config(tokenizer={"kind": "bpe", "vocab_size": 300})
    fitted = tokenize_documents(config, made.documents, made.run.home)
    start = replace(
        made.start, origin="champion", tokenizer=fitted.tokenizer.path, canaries=(SECRET,)
    )
    corpus = tokenize_documents(config, made.documents, made.run.home, start)
    assert corpus.tokenizer.load().encode("abcde fgh") == fitted.tokenizer.load().encode(
        "abcde fgh"
    )
    found = corpus.shards.canaries()
    assert found is not None
    assert found.forbidden == (SECRET,)
    assert found.texts == ()
    assert fitted.shards.canaries() is None


def test_a_task_takes_over_the_tokenizer_of_its_base_model(made: Any, small_config: Any) -> None:
    byte = made.corpus.tokenizer
    base = BaseModel(
        model="talk",
        version=3,
        key="k" * 64,
        weights=made.checkpoint.path / "best",
        tokenizer=byte.path,
        train_ids=set(),
        removed=0,
        licenses={},
    )
    config = small_config(tokenizer={"kind": "bpe", "vocab_size": 300})
    corpus = tokenize_documents(config, made.documents, made.run.home, base=base)
    assert corpus.tokenizer.summary["vocab_size"] == byte.summary["vocab_size"]
    assert corpus.tokenizer.load().encode("abc") == byte.load().encode("abc")


def test_canaries_are_planted_where_there_is_enough_text_beside_those_of_an_earlier_training(
    made: Any, small_config: Any, make_lines: Any, tmp_path: Path
) -> None:
    path = tmp_path / "lines.txt"
    path.write_text(make_lines(600))
    source = {"path": str(path), "format": "lines", "license": "CC0-1.0"}
    home = make_home(tmp_path / "home")
    config = small_config(sources=[source], policy={"canaries": "in_run"})
    documents = ingest_documents(config, fingerprint(config), home)
    found = tokenize_documents(config, documents, home).shards.canaries()
    assert found is not None
    assert 20 <= len(found.texts) <= 64
    assert found.inherited == ()
    start = replace(made.start, canaries=(SECRET,))
    both = tokenize_documents(config, documents, home, start).shards.canaries()
    assert both is not None
    assert both.forbidden == (*found.texts, SECRET)
    # The same text and seed of which none are asked for.
    without = small_config(sources=[source])
    assert tokenize_documents(without, documents, home).shards.canaries() is None
