import itertools
import random

import library_tokenizers as library
import numpy as np
import pytest
import torch
from language_models import KINDS, language_model, tokenizer_of

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.evaluation.scores import scoring
from lmcore.evaluation.scores.scoring import score_documents
from lmcore.evaluation.statistics.measured import AlignmentError
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import Reading
from lmcore.model.recurrent.model import RecurrentAttentionLM


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([], config=TokenizerConfig(kind="byte"))


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    config = ModelConfig(pattern="LA", d_model=32, head_dim=16, window=16)
    model = RecurrentAttentionLM(config, tokenizer.vocab_size, tokenizer.end_id)
    for parameter in model.parameters():  # outputs start at zero, which would hide mistakes
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def make_texts(count):
    rng = random.Random(3)
    return [f"{i} " + "".join(rng.choices("abc é\n", k=rng.randint(0, 90))) for i in range(count)]


def naive_nll(model, tokenizer, text):
    """One token at a time, from the fresh state: what generation would do."""
    ids, state, total = [tokenizer.end_id, *tokenizer.encode(text), tokenizer.end_id], None, 0.0
    with torch.inference_mode():
        for given, wanted in itertools.pairwise(ids):
            logits, state = model(torch.tensor([[given]]), state)
            total -= torch.log_softmax(logits[0, 0].double(), -1)[wanted].item()
    return total


def test_a_model_says_how_it_is_fed(model, tokenizer, document):
    seen = set()

    class Narrow(RecurrentAttentionLM):
        @property
        def reading(self):
            return Reading(lanes=2, chunk_tokens=5)

        def features(self, tokens, state=None, *, rng=None):
            seen.add(tuple(tokens.shape))
            return super().features(tokens, state, rng=rng)

    narrow = Narrow(model.config, model.vocab_size, model.end_id)
    narrow.load_state_dict(model.state_dict())
    documents = [document(text) for text in make_texts(6)]
    found = score_documents(narrow.eval(), tokenizer, documents)
    assert max(lanes for lanes, _ in seen) == 2
    assert max(length for _, length in seen) == 5
    expected = score_documents(model, tokenizer, documents)
    assert found.nll_nats == pytest.approx(expected.nll_nats, rel=1e-5)


def test_padding_starts_no_documents_where_the_end_is_the_first_token(model, document):
    made = library.byte_level()
    tokenizer = BorrowedTokenizer(made.to_str(), vocab_size=made.get_vocab_size(), end_id=0)
    ends = []

    class Counting(RecurrentAttentionLM):
        def features(self, tokens, state=None, *, rng=None):
            ends.append(int((tokens == self.end_id).sum()))
            return super().features(tokens, state, rng=rng)

    torch.manual_seed(0)
    counting = Counting(model.config, tokenizer.vocab_size, tokenizer.end_id).eval()
    documents = [document(text) for text in make_texts(9)]
    found = score_documents(counting, tokenizer, documents, max_lanes=4, chunk_tokens=50)
    # One before each document, and at most one behind the last of each lane.
    assert len(documents) <= sum(ends) <= len(documents) + 4
    expected = [naive_nll(counting, tokenizer, d.text) for d in documents]
    assert found.nll_nats == pytest.approx(expected, rel=1e-4)


def test_scores_equal_reading_token_by_token(model, tokenizer, document):
    texts = ["", "x", "hello é", "a longer text than the window of the attention, by far"]
    table = score_documents(model, tokenizer, [document(t) for t in texts])
    assert table.nll_nats == pytest.approx([naive_nll(model, tokenizer, t) for t in texts], 1e-5)
    assert table.num_tokens.tolist() == [len(t.encode()) + 1 for t in texts]


@pytest.mark.parametrize(("lanes", "chunk"), [(1, 7), (3, 16), (5, 128), (64, 1000)])
def test_neither_lanes_nor_chunks_nor_neighbours_change_a_score(
    model, tokenizer, document, lanes, chunk
):
    documents = [document(t) for t in make_texts(23)]
    reference = [score_documents(model, tokenizer, [d]).nll_nats[0] for d in documents]
    table = score_documents(model, tokenizer, documents, max_lanes=lanes, chunk_tokens=chunk)
    np.testing.assert_allclose(table.nll_nats, reference, rtol=1e-5)
    assert table.id.tolist() == [d.id for d in documents]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lanes", "chunk"), [(1, 7), (4, 40), (64, 1000)])
def test_every_kind_scores_a_document_as_it_reads_it_token_by_token(kind, document, lanes, chunk):
    tokenizer = tokenizer_of(kind)
    model = language_model(kind, vocab_size=tokenizer.vocab_size, end_id=tokenizer.end_id)
    texts = ["", "x", "hello é", *make_texts(5), "longer than two windows of a pretrained one " * 2]
    table = score_documents(
        model, tokenizer, [document(t) for t in texts], max_lanes=lanes, chunk_tokens=chunk
    )
    assert table.nll_nats == pytest.approx([naive_nll(model, tokenizer, t) for t in texts], 1e-4)
    assert table.num_bytes.tolist() == [len(t.encode()) for t in texts]


def test_windows_of_text_change_nothing(model, tokenizer, document, monkeypatch):
    documents = [document(t) for t in make_texts(12)]
    whole = score_documents(model, tokenizer, documents)
    monkeypatch.setattr(scoring, "WINDOW_BYTES", 100)
    seen = []
    parts = score_documents(model, tokenizer, iter(documents), on_progress=seen.append)
    np.testing.assert_allclose(parts.nll_nats, whole.nll_nats, rtol=1e-5)
    assert len(seen) > 2
    assert seen[-1] == 12


def test_mode_of_the_model_is_given_back(model, tokenizer, document):
    model.train()
    score_documents(model, tokenizer, [document("text")])
    assert model.training
    model.eval()


def test_no_documents_give_an_empty_table(model, tokenizer):
    assert len(score_documents(model, tokenizer, [])) == 0


def test_a_repeated_document_is_an_error(model, tokenizer, document):
    with pytest.raises(AlignmentError):
        score_documents(model, tokenizer, [document("a"), document("a")])


def test_lanes_are_even_and_hold_every_document_once():
    lengths = [50, 1, 1, 30, 20, 49, 7]
    lanes = scoring._filled_lanes(lengths, 3)
    assert sorted(i for lane in lanes for i in lane) == list(range(7))
    loads = [sum(lengths[i] for i in lane) for lane in lanes]
    assert loads == sorted(loads, reverse=True)
    assert max(loads) - min(loads) <= 10
