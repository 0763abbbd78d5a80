from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows.registry.models import Registry
from flows.registry.removals import record_removals
from flows.registry.versions import Version
from flows.steps.base_model import current_base
from flows.steps.begin_run import begin_run, check_task
from flows.steps.ingest_documents import fingerprint
from lmcore.config import RunConfig, parse_config
from lmcore.data.copies.removal import Removal
from lmcore.errors import NotFoundError, UserError

SENTIMENT = {"task": "sentiment", "name": "speeches"}


def task_config(**changes: Any) -> RunConfig:
    source = {"path": "rows.tsv", "target_field": "label", "license": "CC0-1.0"}
    return parse_config({**SENTIMENT, "sources": [source], **changes}, where="test")


def test_a_name_stands_for_one_task_for_ever(
    registry: Registry, register: Callable[..., Version]
) -> None:
    config = task_config()
    check_task(config, registry)
    register()
    with pytest.raises(UserError, match=r"name='speeches' is a model for language_modelling"):
        check_task(config, registry)
    check_task(task_config(name="tone"), registry)


def test_a_pretrained_model_keeps_its_name_and_is_no_base_of_a_task(registry: Registry) -> None:
    pytest.importorskip("transformers")
    from pretrained_models import make_base

    registry.bases.register(make_base(registry.home.content))
    with pytest.raises(UserError, match="'base-llama' is the registered name of a pretrained"):
        check_task(task_config(name="base-llama"), registry)
    config = task_config(base="base-llama")
    with pytest.raises(NotFoundError, match=r"base: model 'base-llama' does not exist"):
        current_base(registry, config)


def test_the_same_request_is_the_same_run(
    registry: Registry, small_config: Callable[..., RunConfig]
) -> None:
    config = small_config()
    sources = fingerprint(config)
    run = begin_run(config, home=registry.home, sources=sources)
    assert begin_run(config, home=registry.home, sources=sources) == run
    assert run.key.data == sources.digest
    assert (run.base, run.key.start, len(run.removals)) == (None, None, 0)
    assert run.task.is_language_model
    other = begin_run(small_config(training={"seed": 7}), home=registry.home, sources=sources)
    assert (other.key.data, other.key.config == run.key.config) == (run.key.data, False)
    changed = replace(sources, digest="f" * 64)
    assert begin_run(config, home=registry.home, sources=changed).key.base != run.key.base


def test_what_must_be_forgotten_is_another_run(
    registry: Registry, small_config: Callable[..., RunConfig]
) -> None:
    config = small_config()
    sources = fingerprint(config)
    before = begin_run(config, home=registry.home, sources=sources)
    of_others, ours = (
        Removal(
            document=mark * 64,
            sketch=None,
            reason="asked",
            who="ada",
            at="2026-03-01",
            model=model,
        )
        for mark, model in (("a", "tales"), ("b", None))
    )
    record_removals(registry, [of_others])
    assert begin_run(config, home=registry.home, sources=sources).key == before.key
    record_removals(registry, [ours])
    after = begin_run(config, home=registry.home, sources=sources)
    assert after.removals.entries == (ours,)
    assert after.key.base != before.key.base


def test_the_champion_that_a_run_goes_on_from_is_in_its_key_and_nothing_new(
    registry: Registry, register: Callable[..., Version], small_config: Callable[..., RunConfig]
) -> None:
    config = small_config(name="speeches", training={"start": "champion"})
    sources = fingerprint(config)
    before = begin_run(config, home=registry.home, sources=sources)
    version = register()
    registry.set_alias("speeches", "champion", version.number)
    after = begin_run(config, home=registry.home, sources=sources)
    assert (before.key.start, after.key.start) == (None, version.weights_sha256)
    assert before.key.digest != after.key.digest
    assert before.key.base == after.key.base


def test_a_task_is_another_run_with_another_base_model(
    registry: Registry, register: Callable[..., Version], small_config: Callable[..., RunConfig]
) -> None:
    sources = fingerprint(small_config())
    config = task_config(name="tone", base="speeches")
    with pytest.raises(NotFoundError, match="base: model 'speeches' does not exist"):
        begin_run(config, home=registry.home, sources=sources)
    version = register()
    with pytest.raises(UserError, match="base: speeches has no champion yet"):
        begin_run(config, home=registry.home, sources=sources)
    registry.set_alias("speeches", "champion", version.number)
    run = begin_run(config, home=registry.home, sources=sources)
    assert run.base is not None
    assert (run.base.version, run.base.key) == (1, version.manifest_sha256)
    alone = begin_run(task_config(name="tone", base=None), home=registry.home, sources=sources)
    assert alone.base is None
    assert alone.key.config == alone.config.fingerprint() != run.key.config
