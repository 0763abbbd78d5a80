"""Masking is measured by what was planted, and a model by what it writes."""

import torch

from lmcore.data.config import TokenizerConfig
from lmcore.data.text.privacy import Masking, Span, SpanHashes, mask
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.pii.evidence import (
    DRAWS_A_PROMPT,
    PROMPTS,
    elicit,
    keep_all,
    precision,
    recall,
    search,
)
from lmcore.evaluation.pii.planting import plant, plant_near_misses, spelt_out
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM


def scrub(text: str) -> str:
    return mask(text).text


def test_masking_finds_spellings_that_it_was_not_written_from() -> None:
    limits = GatesConfig.default().pii
    for seed in range(2):
        found = recall(scrub, plant(seed))
        assert set(found) == {"CARD", "EMAIL", "IBAN", "ID", "IP", "PHONE", "SSN"}
        assert all(found[kind].value >= 0.97 for kind in found)
        assert all(found[kind].lower >= limits.min_recall(kind) for kind in found)
    in_words = recall(scrub, map(spelt_out, plant(0, count=50)))
    assert all(interval.upper < 0.5 for interval in in_words.values())
    assert all(i.value == 0 for i in recall(keep_all, plant(0, count=50)).values())


def test_masking_leaves_near_misses() -> None:
    limits = GatesConfig.default().pii
    for seed in range(2):
        left, wrong = precision(scrub, plant_near_misses(seed))
        assert left.lower >= limits.min_precision
        assert left.n >= 600
        assert sum(wrong.values()) == round((1 - left.value) * left.n)
    left, wrong = precision(lambda text: "", plant_near_misses(0))
    assert left.value == 0
    assert {"version", "money", "section", "hash"} <= set(wrong)


def test_masking_of_some_regions_is_measured_by_their_spellings() -> None:
    masking = Masking(regions=("DE", "FR"))
    planted = plant(0, regions=masking.regions)
    national = {i.region for i in planted if i.kind == "PHONE" and not i.span.startswith("+")}
    assert national == {"DE", "FR"}
    found = recall(lambda text: masking.mask(text).text, planted)
    assert found["PHONE"].value >= 0.97


def test_the_search_tells_what_was_learnt_from_what_was_made_up() -> None:
    known = SpanHashes(b"salt")
    known.add([Span(kind="EMAIL", text="ann@example.org")])
    texts = ["Write to Ann@example.org or bob@example.org", "<EMAIL>", "no data"]
    found = search(texts, known, masking=Masking())
    assert found.found == {"EMAIL": 2}
    assert found.leaked == {"EMAIL": 1}
    assert (found.texts, found.known) == (3, 1)


def test_a_model_is_asked_the_same_for_the_same_seed() -> None:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["text"], config=TokenizerConfig(kind="byte"))
    config = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=8)
    model = RecurrentAttentionLM(config, tokenizer.vocab_size, tokenizer.end_id).eval()
    texts = elicit(model, tokenizer, seed=3)
    assert len(texts) == len(PROMPTS) * DRAWS_A_PROMPT
    assert texts == elicit(model, tokenizer, seed=3)
    assert all(text.startswith(PROMPTS[i // DRAWS_A_PROMPT]) for i, text in enumerate(texts))
    assert elicit(model, tokenizer, seed=3, texts=5) == texts[:5]
