import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pretrained_models import make_base

from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.choose_start import champion_weights, choose_start, start_from
from flows.steps.ingest_documents import fingerprint, ingest_documents
from lmcore.config import RunConfig
from lmcore.model.config import PretrainedConfig

GO_ON = {"start": "champion"}


@pytest.fixture
def used(made: Any, champion: Version) -> Registry:
    """Where the champion is."""
    return Registry(made.run.home)


def test_a_run_from_scratch_depends_on_no_champion(
    made: Any, used: Registry, small_config: Callable[..., RunConfig]
) -> None:
    config = small_config(training={"start": "scratch"})
    assert champion_weights(config, used) is None
    start = choose_start(config, made.documents, used)
    assert (start.origin, start.reason) == ("scratch", "training.start is scratch")


def test_without_a_champion_there_is_nothing_to_go_on_from(
    made: Any, registry: Registry, small_config: Callable[..., RunConfig]
) -> None:
    config = small_config(training=GO_ON)
    assert champion_weights(config, registry) is None
    start = choose_start(config, made.documents, registry)
    assert (start.origin, start.reason) == ("scratch", "there is no champion to go on from yet")


def test_a_champion_of_the_same_text_is_gone_on_from(
    made: Any,
    used: Registry,
    champion: Version,
    small_config: Callable[..., RunConfig],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    config = small_config(training=GO_ON)
    assert champion_weights(config, used) == champion.weights_sha256
    start = choose_start(config, made.documents, used)
    assert start.to_json() == {
        "origin": "champion",
        "reason": start.reason,
        "version": 1,
        "weights": champion.weights_sha256,
    }
    assert start.reason.startswith("goes on from champion version 1: same tokenizer and shape")
    assert f"start: {start.reason}" in caplog.text
    folder = used.open(champion)
    assert start == start_from(folder, version=1, reason=start.reason)
    assert (start.model, start.tokenizer) == (folder.path / "model", folder.path / "tokenizer")
    assert start.canaries == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"tokenizer": {"kind": "bpe", "vocab_size": 300}},
            "its tokenizer is configured otherwise",
        ),
        ({"model": {"d_model": 24}}, "it has another shape"),
    ],
)
def test_another_model_begins_from_scratch(
    made: Any,
    used: Registry,
    small_config: Callable[..., RunConfig],
    changes: dict[str, Any],
    reason: str,
) -> None:
    start = choose_start(small_config(training=GO_ON, **changes), made.documents, used)
    assert start.origin == "scratch"
    assert start.reason == f"not from champion version 1: {reason}"


def test_a_champion_from_random_weights_is_not_gone_on_from_with_a_pretrained_model(
    made: Any, used: Registry, small_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    base = make_base(tmp_path)
    config = small_config(training=GO_ON).model_copy(
        update={"model": PretrainedConfig(pretrained="llama")}
    )
    start = choose_start(config, made.documents, used, base)
    assert (start.origin, start.pretrained) == ("scratch", base)
    assert start.reason == (
        "not from champion version 1: it began with random weights, and the configuration asks for"
        " a pretrained model (llama)"
    )


def test_what_is_no_longer_there_must_not_stay_in_the_weights(
    made: Any, used: Registry, small_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    gone = next(made.documents.iter_documents("train")).id
    texts = [d.text for d in made.documents.iter_documents() if d.id != gone]
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{text}\n" for text in texts))
    source = {"path": str(path), "format": "lines", "license": "CC0-1.0"}
    config = small_config(sources=[source], training=GO_ON)
    documents = ingest_documents(config, fingerprint(config), made.run.home)
    start = choose_start(config, documents, used)
    assert start.origin == "scratch"
    assert re.search(r": 1 of the \d+ documents that it learnt from \(the first: ", start.reason)


@pytest.fixture
def damaged(used: Registry, champion: Version) -> Iterator[None]:
    weights = used.open(champion).path / "model" / "model.safetensors"
    content = weights.read_bytes()
    # Or they would be put back from there.
    copies = (used.home.root / "kept", used.home.content / "checkpoint")
    for path in copies:
        path.rename(used.home.root / f"no {path.name}")
    weights.write_bytes(content[:-1])
    yield
    for path in copies:
        shutil.rmtree(path, ignore_errors=True)
        (used.home.root / f"no {path.name}").rename(path)
    weights.write_bytes(content)


def test_damaged_weights_are_not_gone_on_from(
    made: Any, used: Registry, small_config: Callable[..., RunConfig], damaged: None
) -> None:
    start = choose_start(small_config(training=GO_ON), made.documents, used)
    assert start.origin == "scratch"
    assert "not from champion version 1: its files cannot be used (" in start.reason
    assert "model.safetensors" in start.reason


def test_a_champion_whose_configuration_says_something_else_is_not_gone_on_from(
    made: Any,
    registry: Registry,
    register: Callable[..., Version],
    small_config: Callable[..., RunConfig],
) -> None:
    """`name: speeches` alone: the installed default, which is another tokenizer."""
    registry.set_alias("speeches", "champion", register().number)
    start = choose_start(small_config(name="speeches", training=GO_ON), made.documents, registry)
    assert start.reason == ("not from champion version 1: its tokenizer is configured otherwise")
