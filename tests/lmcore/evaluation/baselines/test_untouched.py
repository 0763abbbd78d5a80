"""What a candidate began with is scored as it was, and once."""

from pathlib import Path

import pytest

pytest.importorskip("transformers")
import torch
from pretrained_models import VOCAB_SIZE, make_base

from lmcore.artifacts import ContentStore
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


def test_it_is_scored_once_for_all_that_is_made_of_it(content: ContentStore) -> None:
    document = make_document("abc")
    asked: list[LanguageModel] = []

    def score(model: LanguageModel) -> ScoreTable:
        asked.append(model)
        return ScoreTable.of([document], num_tokens=[2], nll_nats=[4.0])

    def table(model: LanguageModel, *ids: str) -> ScoreTable | None:
        return score_untouched(
            content, model, ids=frozenset(ids), of={"tokenizer": "t"}, score=score
        )

    first = table(begun(content), "a")
    assert first is not None
    assert first.nll_nats.tolist() == [4.0]
    table(changed(begun(content, rank=4)), "a")
    assert len(asked) == 1
    table(begun(content, context=32), "a")
    table(begun(content), "a", "b")
    assert len(asked) == 3


def test_random_weights_began_with_nothing(content: ContentStore) -> None:
    shape = ModelConfig(pattern="A", d_model=8, num_heads=1, head_dim=4)
    model = new_model(shape, vocab_size=11, end_id=10, seed=0, device="cpu")
    assert untouched(model) is None
    assert score_untouched(content, model, ids=frozenset(), of={}, score=lambda _: 1 / 0) is None  # type: ignore[arg-type, return-value]
