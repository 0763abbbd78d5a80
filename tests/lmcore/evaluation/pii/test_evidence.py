"""Planted personal data is right by its own checks, and masking is measured by it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.config import TokenizerConfig
from lmcore.data.text.privacy import Span, SpanHashes, iban_valid, luhn_valid
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.pii.evidence import (
    DRAWS_A_PROMPT,
    PROMPTS,
    Planted,
    elicit,
    keep_all,
    mask_patterns,
    plant,
    recall,
    search,
    with_iban_check,
    with_luhn,
)
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import RecurrentAttentionLM


def test_check_digits_are_those_of_published_numbers() -> None:
    assert with_luhn("411111111111111") == "4111111111111111"
    assert with_luhn("37828224631000") == "378282246310005"
    assert with_iban_check("DE", "370400440532013000") == "DE89370400440532013000"
    assert with_iban_check("GB", "WEST12345698765432") == "GB82WEST12345698765432"


@given(st.integers(0, 1 << 32))
def test_planted_numbers_are_valid_and_only_in_their_place(seed: int) -> None:
    for item in plant(seed, count=2):
        compact = "".join(c for c in item.span if c.isalnum())
        if item.kind == "CARD":
            assert luhn_valid(compact)
        if item.kind == "IBAN":
            assert iban_valid(compact)
        assert item.text.count(item.span) == 1


def test_masking_finds_the_formats_it_knows_and_none_of_the_others() -> None:
    limits = GatesConfig.default().pii
    for seed in range(2):
        found = recall(mask_patterns, plant(seed))
        assert set(found) == {"CARD", "EMAIL", "IBAN", "IP", "PHONE", "SSN"}
        assert all(found[kind].lower >= limits.min_recall(kind) for kind in found)
    unseen = recall(mask_patterns, plant(0, count=50, unseen=True))
    assert all(interval.upper < 0.5 for interval in unseen.values())
    assert all(i.value == 0 for i in recall(keep_all, plant(0, count=50)).values())


def test_half_a_number_left_or_a_word_lost_is_a_miss() -> None:
    item = Planted(kind="CARD", before="pay ", span="4111111111111111", after=" now")
    assert item.masked_in("pay <CARD> now")
    for result in ("pay <CARD>1111 now", "pay <CARD>", "<CARD> now", "pay  now", item.text):
        assert not item.masked_in(result)


def test_the_search_tells_what_was_learnt_from_what_was_made_up() -> None:
    known = SpanHashes(b"salt")
    known.add([Span(kind="EMAIL", text="ann@example.org")])
    texts = ["Write to Ann@example.org or bob@example.org", "<EMAIL>", "no data"]
    found = search(texts, known)
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
