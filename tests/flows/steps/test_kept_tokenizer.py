"""The champion's tokenizer in a training from random weights: kept where it is sound and fits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lmcore_shell import Shell
from pretrained_models import make_base

from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps import kept_tokenizer
from flows.steps.choose_start import choose_start
from flows.steps.ingest_documents import fingerprint, ingest_documents
from flows.steps.tokenize_documents import tokenize_documents
from lmcore.config import RunConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.tokenizer_fit import Fit
from lmcore.training.start import Start


@pytest.fixture
def used(made: Any, champion: Version) -> Registry:
    """Where the champion is."""
    return Registry(made.run.home)


@pytest.fixture
def grown(
    made: Any,
    small_config: Callable[..., RunConfig],
    make_lines: Callable[[int], str],
    tmp_path: Path,
) -> Callable[..., tuple[RunConfig, DocumentSet]]:
    """Configuration and documents of the lines that the champion has seen, and of more."""

    def make(count: int = 400, **changes: Any) -> tuple[RunConfig, DocumentSet]:
        path = tmp_path / "lines.txt"
        path.write_text(make_lines(count))
        source = {"path": str(path), "format": "lines", "license": "CC0-1.0"}
        config = small_config(sources=[source], **changes)
        return config, ingest_documents(config, fingerprint(config), made.run.home)

    return make


def chosen(found: tuple[RunConfig, DocumentSet], used: Registry) -> Start:
    return choose_start(*found, used)


def test_it_is_kept_where_there_is_new_text_that_it_fits(
    made: Any, used: Registry, champion: Version, grown: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config, documents = grown()
    start = choose_start(config, documents, used)
    folder = used.open(champion)
    assert (start.origin, start.model, start.canaries) == ("scratch", None, ())
    assert start.tokenizer == folder.path / "tokenizer"
    assert start.kept is not None
    assert start.kept.reason.startswith(
        "the tokenizer of champion version 1 is kept: 1.00 bytes a token on "
    )
    assert f"tokenize: {start.kept.reason}" in caplog.text
    assert start.to_json()["tokenizer"] == {"version": 1, "reason": start.kept.reason}
    corpus = tokenize_documents(config, documents, made.run.home, start)
    assert corpus.tokenizer.summary["adopted"] is True
    # And what it is asked for does not matter to who does not ask.
    without = choose_start(config.model_copy(update={"keep_tokenizer": None}), documents, used)
    assert (without.tokenizer, without.kept) == (None, None)
    assert "tokenizer" not in without.to_json()


def test_the_same_text_has_the_tokenizer_that_was_fitted_on_it(
    made: Any, used: Registry, small_config: Callable[..., RunConfig]
) -> None:
    start = choose_start(small_config(), made.documents, used)
    assert (start.tokenizer, start.kept) == (None, None)


def test_new_text_that_it_does_not_fit_is_said(
    used: Registry, grown: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fit = Fit(known=4.0, new=3.7, new_bytes=9_000)
    monkeypatch.setattr(kept_tokenizer, "fit_of", lambda *_, **__: fit)
    assert chosen(grown(keep_tokenizer=0.1), used).kept is not None
    start = chosen(grown(), used)
    assert (start.tokenizer, start.kept) == (None, None)
    assert (
        "tokenize: a new tokenizer, as that of champion version 1 has 3.70 bytes a token on 9,000"
        " bytes of text that is new to it, 4.00 on text that it knows; keep_tokenizer allows 5%"
        " fewer"
    ) in caplog.text


def test_one_that_knows_text_which_is_gone_is_not_kept(
    made: Any, used: Registry, small_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    gone = next(made.documents.iter_documents("train")).id
    texts = [d.text for d in made.documents.iter_documents() if d.id != gone]
    path = tmp_path / "fewer.txt"
    path.write_text("".join(f"{text}\n" for text in [*texts, "something new"]))
    config = small_config(sources=[{"path": str(path), "format": "lines", "license": "CC0-1.0"}])
    documents = ingest_documents(config, fingerprint(config), made.run.home)
    start = choose_start(config, documents, used)
    assert (start.tokenizer, start.kept) == (None, None)
    assert "a new tokenizer, not that of champion version 1: 1 of the " in caplog.text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"tokenizer": {"kind": "bpe", "vocab_size": 300}}, "its tokenizer is configured otherwise")],
)
def test_another_kind_of_tokenizer_is_fitted(
    used: Registry, grown: Any, caplog: pytest.LogCaptureFixture, changes: Any, reason: str
) -> None:
    caplog.set_level("INFO")
    assert chosen(grown(**changes), used).kept is None
    assert f"a new tokenizer, not that of champion version 1: {reason}" in caplog.text


def test_without_a_champion_there_is_none_to_keep(registry: Registry, grown: Any) -> None:
    assert chosen(grown(), registry).kept is None


def test_a_start_from_a_model_that_exists_has_its_own(
    used: Registry, grown: Any, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    base = make_base(tmp_path / "base")
    config, documents = grown()
    start = choose_start(config, documents, used, base)
    assert (start.kept, start.pretrained) == (None, base)


def test_a_champion_that_began_with_a_model_that_exists_keeps_its_tokenizer_to_itself(
    used: Registry, grown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    base = make_base(tmp_path / "base")
    monkeypatch.setattr(kept_tokenizer, "begun_with", lambda folder: base)
    assert chosen(grown(), used).kept is None


CONFIG = """\
name: grown
sources: [{path: lines.txt, format: lines, license: CC0-1.0, origin: a test}]
tokenizer: {kind: bpe, vocab_size: 300}
model: {pattern: LA, d_model: 16, num_heads: 1, head_dim: 8, window: 8}
training: {max_steps: 3, batch_size: 4, sequence_length: 16, precision: float32}
gates: {required: [provenance], evaluation: {free_samples: 5, resamples: 1000}}
"""


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.long
def test_a_retrain_cuts_new_text_alone_and_equals_a_cold_one(
    tmp_path: Path, make_lines: Callable[[int], str]
) -> None:
    """Two runs, the second on more text; rebuilt from nothing it has the same weights."""
    shell = Shell(tmp_path)
    lines = make_lines(300).splitlines(keepends=True)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "lines.txt").write_text("".join(lines[:200]))
    first = shell.run("run", "--config", "config.yaml")
    (tmp_path / "lines.txt").write_text("".join(lines))
    second = shell.run("run", "--config", "config.yaml")
    assert (first["outcome"], second["version"]) == ("promoted", 2)
    shown = shell.run("lineage", "2")
    assert shown["kept_tokenizer"]["version"] == 1
    assert "of champion version 1 is kept: " in shown["kept_tokenizer"]["reason"]
    assert shell.run("lineage", "1")["kept_tokenizer"] is None
    folders = sorted((shell.home / "content" / "tokenizer").glob("[!.]*"))
    kept = [(folder / "tokenizer.json").read_bytes() for folder in folders]
    assert len(kept) == 2
    assert kept[0] == kept[1]
    again = shell.run("reproduce", "2")
    assert (again["identical"], again["mismatches"]) == (True, [])
