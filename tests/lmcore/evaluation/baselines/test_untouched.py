"""What a candidate began with is scored as it was, and once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("transformers")
import torch
from pretrained_models import VOCAB_SIZE, make_base

from lmcore.content_store import ContentStore
from lmcore.controls.bench import make_document
from lmcore.evaluation.baselines.untouched import score_untouched
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.model.config import ModelConfig, PretrainedConfig
from lmcore.model.factory import new_model, untouched
from lmcore.model.language_model import LanguageModel
from lmcore.model.pretrained import shelf

TOKENS = torch.tensor([[0, 5, 6, 7, 8, 9]])


@pytest.fixture(autouse=True)
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ContentStore:
    monkeypatch.setattr(shelf, "_roots", [tmp_path])
    shelf.verified.cache_clear()
    return ContentStore(tmp_path)


def begun(store: ContentStore, **options: object) -> LanguageModel:
    base = make_base(store.root)
    config = PretrainedConfig.model_validate({"pretrained": "x", "context": 16, **options})
    return new_model(
        config, vocab_size=VOCAB_SIZE, end_id=0, seed=0, device="cpu", base=base.path
    ).eval()


def changed(model: LanguageModel) -> LanguageModel:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    return model


@pytest.mark.parametrize("adapt", ["lora", "full"])
def test_it_is_the_model_before_anything_was_learnt(content: ContentStore, adapt: str) -> None:
    model = begun(content, adapt=adapt)
    with torch.no_grad():
        before = model(TOKENS)[0]
        found = untouched(changed(model))
        assert found is not None
        assert torch.equal(found(TOKENS)[0], before)
        assert not torch.allclose(model(TOKENS)[0], before)


def table_of(*texts: str, **facts: object) -> ScoreTable:
    documents = [make_document(text, **facts) for text in texts]
    zeros = [0] * len(texts)
    return ScoreTable.of(documents, num_tokens=zeros, nll_nats=zeros)


@pytest.fixture
def table(content: ContentStore) -> Callable[..., tuple[ScoreTable, list[int]]]:
    """Scores a model on texts; tells the table, and how many documents it was asked about."""
    nats = {make_document(text).id: float(i) for i, text in enumerate("abcd")}

    def make(model: LanguageModel, *texts: str, **facts: object) -> tuple[ScoreTable, list[int]]:
        beside, asked = table_of(*texts, **facts), []

        def score(model: LanguageModel, ids: frozenset[str]) -> ScoreTable:
            asked.append(len(ids))
            some = beside.select(beside.isin(ids))
            return replace(some, nll_nats=[nats[i] for i in some.id], num_tokens=[2] * len(some))

        of = {"documents": " ".join(texts), "tokenizer": "t"}
        found = score_untouched(content, model, beside=beside, of=of, score=score)
        assert found is not None
        assert found.id.tolist() == beside.id.tolist()
        return found, asked

    return make


def test_a_document_is_scored_once_for_all_that_is_made_of_it(
    content: ContentStore, table: Callable[..., tuple[ScoreTable, list[int]]]
) -> None:
    found, asked = table(begun(content), "a", "b")
    assert (found.nll_nats.tolist(), found.num_tokens.tolist(), asked) == ([0, 1], [2, 2], [2])
    again = changed(begun(content, rank=4))
    assert table(again, "a", "b")[1] == []
    # New documents alone are scored, and fewer than before none; the order is that of the run.
    found, asked = table(again, "c", "b", "a")
    assert (found.nll_nats.tolist(), asked) == ([2, 1, 0], [1])
    found, asked = table(again, "c", "b")
    assert (found.nll_nats.tolist(), asked) == ([2, 1], [])
    assert table(begun(content, context=32), "a", "b")[1] == [2]


def test_documents_are_described_as_this_run_knows_them(
    content: ContentStore, table: Callable[..., tuple[ScoreTable, list[int]]]
) -> None:
    table(begun(content), "a", "b")
    found, asked = table(begun(content), "a", "b", "c", name="renamed", anchor=True, cluster="one")
    assert asked == [1]
    assert set(found.name) == {"renamed"}
    assert set(found.cluster) == {"one"}
    assert found.anchor.all()


def test_an_earlier_table_that_was_damaged_is_none(
    content: ContentStore, table: Callable[..., tuple[ScoreTable, list[int]]]
) -> None:
    table(begun(content), "a", "b")
    (folder,) = (content.root / "untouched").glob("[!.]*")
    (folder / "scores.parquet").write_bytes(b"")
    assert table(begun(content), "a", "b", "c")[1] == [3]


def never(model: LanguageModel, ids: frozenset[str]) -> ScoreTable:
    raise AssertionError("nothing is scored")


def test_random_weights_began_with_nothing(content: ContentStore) -> None:
    shape = ModelConfig(pattern="A", d_model=8, num_heads=1, head_dim=4)
    model = new_model(shape, vocab_size=11, end_id=10, seed=0, device="cpu")
    assert untouched(model) is None
    assert score_untouched(content, model, beside=table_of("a"), of={}, score=never) is None
