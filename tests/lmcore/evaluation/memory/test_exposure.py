"""Golden values of the audit and of the alarm, and which canaries count as read."""

import numpy as np
import pytest
import torch

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.canaries import plan_canaries
from lmcore.data.tokens.shards import write_shards
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.memory.exposure import (
    Exposure,
    epsilon_lower_bound,
    measure_exposure,
)
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM


@pytest.mark.parametrize(
    ("right", "epsilon"), [(64, 3.04), (48, 0.60), (40, 0.06), (32, 0.0), (0, 0.0)]
)
def test_epsilon_has_its_known_values(right, epsilon):
    assert epsilon_lower_bound(right, 64) == pytest.approx(epsilon, abs=0.005)


def test_epsilon_needs_guesses():
    with pytest.raises(EmptyEvaluationError):
        epsilon_lower_bound(0, 0)


def exposure_of(inside, outside=None, references=range(1, 10)):
    inside = np.array(inside, dtype=float)
    return Exposure(
        planted=len(inside),
        inside=inside,
        outside=np.array(inside + 1 if outside is None else outside, dtype=float),
        references=np.array(references, dtype=float),
    )


def test_ranks_are_among_the_references_and_ties_count_against_the_canary():
    found = exposure_of([0.5, 1.0, 9.5, 4.5])
    assert found.ranks.tolist() == [1, 2, 10, 5]
    assert found.exposures.tolist() == pytest.approx([np.log2(10), np.log2(5), 0.0, 1.0])


def test_a_tie_of_a_pair_is_a_coin():
    assert exposure_of([1, 1, 1, 1], [2, 1, 1, 0]).right_guesses == 2


def test_only_canaries_that_were_read_as_a_whole_count(store, document, document_set):
    texts = [f"{i} " + "some words to fill a document " * 110 for i in range(120)]
    documents = document_set([document(text, split="train") for text in texts])
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    canaries = plan_canaries(documents, seed=0, num_pairs=64)
    shards = write_shards(store, documents, tokenizer, canaries=canaries)
    stream = shards.stream("train")
    torch.manual_seed(0)
    config = ModelConfig(pattern="L", d_model=8, embedding_dim=4)
    model = RecurrentAttentionLM(config, tokenizer.load().vocab_size, stream.end_id).eval()
    half = len(stream) // 2

    def measure(ranges):
        return measure_exposure(
            model, tokenizer.load(), canaries, stream=stream, ranges=ranges, num_references=50
        )

    whole = measure([(0, len(stream))])
    assert len(whole.inside) == len(canaries.pairs) == whole.planted == 64
    assert whole.inside.shape == whole.outside.shape
    assert whole.references.shape == (50,)
    first, second = measure([(0, half)]), measure([(half, len(stream))])
    assert 0 < len(first.inside) < 64
    # One canary at most lies across the middle.
    assert 63 <= len(first.inside) + len(second.inside) <= 64
    nothing = measure([])
    assert len(nothing.inside) == len(nothing.references) == 0
    # Without the last token of its text a canary was not read.
    pair = canaries.pairs[0]
    at = next(
        i
        for i, end in enumerate(stream.doc_ends)
        if tokenizer.load().decode(stream.read(int(end) - 30, int(end) - 1)) == pair.inside
    )
    end = int(stream.doc_ends[at])
    assert len(measure([(end - 30, end)]).inside) == 1
    assert len(measure([(end - 30, end - 1)]).inside) == 0
