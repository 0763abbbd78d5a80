"""Fresh text by a champion whose data and scores are known: what is new, and how it is judged."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.evaluation.drift.monitor import Watched, monitor_documents
from lmcore.evaluation.scores.scoring import score_documents
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM

LIMITS = MonitorConfig.model_validate({"resamples": 1_000, "min_documents": 2})
TOKENIZER = ByteTokenizer()


@pytest.fixture(scope="module")
def model():
    """One that finds `a` cheap and `z` dear, so that text of another kind is harder."""
    torch.manual_seed(0)
    shape = ModelConfig(pattern="LA", d_model=16, head_dim=8, window=8)
    made = RecurrentAttentionLM(shape, TOKENIZER.vocab_size, TOKENIZER.end_id)
    counts = torch.ones(TOKENIZER.vocab_size)
    (a,) = TOKENIZER.encode("a")
    counts[a] = 1_000
    made.expect(counts)
    return made.eval()


@pytest.fixture
def known(document):
    """The champion's documents: easy text, held out and learnt from."""
    held = [document(f"a a aa aaa held {'a' * i}") for i in range(6)]
    return [*held, *(document(f"a aa learnt {'a' * i}", split="train") for i in range(6))]


@pytest.fixture
def watched(model, known):
    rows = [
        {"id": d.id, "cluster": d.cluster, "split": d.split, "num_bytes": d.num_bytes}
        for d in known
    ]
    held = [d for d in known if d.split == "validation"]
    reference = score_documents(model, TOKENIZER, held)
    return Watched(model=model, tokenizer=TOKENIZER, rows=rows, reference=reference)


def test_what_the_champion_has_not_met_is_scored_on_either_side_of_the_split(
    watched, known, document, document_set
):
    fresh = [document(f"zz zzz fresh {i}", split=("train", "validation")[i % 2]) for i in range(8)]
    copy = document("a a aa aaa held, edited", cluster=known[0].cluster)
    out = document("zz zz twice", split="excluded")
    said = []
    documents = document_set([*known, *fresh, copy, out])
    found = monitor_documents(documents, watched, limits=LIMITS, on_progress=said.append)
    assert found.drift.outcome == "DRIFTED"
    assert set(found.arrivals.fresh) == {d.id for d in fresh}
    assert (found.arrivals.known, found.arrivals.copies, found.arrivals.excluded) == (12, 1, 1)
    assert (found.scored, found.check_documents) == (8, 6)
    assert said[-1] == 8 + 6
    expected = score_documents(watched.model, TOKENIZER, fresh).total_bits_per_byte()
    assert found.drift.compared.fresh.value == pytest.approx(expected)
    # The same model on the same text: no difference, whatever the lanes.
    assert found.check.value == pytest.approx(0, abs=1e-5)
    # "zz", "zzz", "fresh" and a digit, of which the training text has none.
    assert found.unseen_words.fresh.value == 1.0
    # Of the held-out texts it lacks "held": 4 of 11 bytes and of up to five more.
    assert found.unseen_words.reference.value == pytest.approx(6 * 4 / (6 * 11 + 15))
    assert found.lengths.fresh_median == len("zz zzz fresh 0")
    answer = found.to_json()
    json.dumps(answer, allow_nan=False)
    assert answer["documents"] == {
        **{"known": 12, "near_copies": 1, "excluded": 1, "fresh": 8, "scored": 8, "clusters": 8},
        **{"fresh_bytes": sum(d.num_bytes for d in fresh), "needed": None},
    }


def test_more_of_the_same_is_stable(watched, known, document, document_set):
    fresh = [document(f"a a aa aaa aaaaaaaa {'a' * i}") for i in range(8)]
    found = monitor_documents(document_set([*known, *fresh]), watched, limits=LIMITS)
    assert found.drift.outcome == "STABLE"


def test_without_fresh_text_nothing_is_known_and_nothing_fails(watched, known, document_set):
    found = monitor_documents(document_set(known), watched, limits=LIMITS)
    assert found.drift.outcome == "INCONCLUSIVE"
    assert found.drift.documents_needed == LIMITS.min_documents
    assert (found.scored, found.check_documents) == (0, 6)
    assert (found.tokens_per_byte, found.unseen_words, found.lengths) == (None, None, None)
    assert found.to_json()["bits_per_byte"] is None


def test_a_reference_that_scores_otherwise_today_is_no_scale(
    watched, known, document, document_set
):
    documents = document_set([*known, *(document(f"zz zzz fresh {i}") for i in range(8))])
    off = replace(watched.reference, nll_nats=watched.reference.nll_nats * 1.01)
    found = monitor_documents(documents, replace(watched, reference=off), limits=LIMITS)
    assert found.drift.outcome == "INCONCLUSIVE"
    assert "6 documents of the champion's reference differ by -0.0" in found.drift.reason
    assert found.drift.documents_needed is None
    assert found.check.value < -LIMITS.max_check_difference_bits_per_byte
    # A difference that is allowed changes nothing.
    wide = LIMITS.model_copy(update={"max_check_difference_bits_per_byte": 1.0})
    again = monitor_documents(documents, replace(watched, reference=off), limits=wide)
    assert again.drift.outcome == "DRIFTED"


def test_of_sources_that_are_gone_there_is_neither_check_nor_vocabulary(
    watched, document, document_set
):
    documents = document_set([document(f"zz zzz fresh {i}") for i in range(8)])
    found = monitor_documents(documents, watched, limits=LIMITS)
    assert found.drift.outcome == "DRIFTED"
    assert (found.check, found.check_documents, found.unseen_words) == (None, 0, None)
    assert found.to_json()["check"] == {"documents": 0, "difference": None}


def test_much_fresh_text_is_sampled_and_all_of_it_is_counted(
    watched, known, document, document_set
):
    fresh = [document(f"zz fresh {i} {'z' * 490}") for i in range(12)]
    limits = LIMITS.model_copy(update={"max_fresh_bytes": 1_000})
    found = monitor_documents(document_set([*known, *fresh]), watched, limits=limits)
    # The second document crosses the line of 1,000 bytes.
    assert (found.scored, len(found.arrivals.fresh)) == (2, 12)


@pytest.mark.parametrize("count", [0, 1])
def test_a_reference_of_one_document_is_refused_with_what_to_do(
    watched, known, document_set, count
):
    few = watched.reference.select(np.arange(6) < count)
    told = rf"hold {count} documents?; at least 2.*Train it"
    with pytest.raises(EmptyEvaluationError, match=told):
        monitor_documents(document_set(known), replace(watched, reference=few), limits=LIMITS)
