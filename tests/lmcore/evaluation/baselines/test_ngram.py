import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.evaluation.baselines.ngram import END, NUM_SYMBOLS, KneserNey, pack

WORDS = ["the union", "the people of the union", "of the people", "a people", "the the", "ünï"]


class NaiveKneserNey:
    """The same definition with dictionaries, one order, straight from the formula."""

    def __init__(self, texts, order):
        self.order = order
        counts = Counter()
        for text in texts:
            symbols = [END] * (order - 1) + list(text) + [END]
            for i in range(order - 1, len(symbols)):
                counts[tuple(symbols[i - order + 1 : i + 1])] += 1
        self.tables = {order: counts}
        for k in range(order - 1, 0, -1):
            # The raw grams of length k + 1, whose first symbols are the contexts to count.
            longer = Counter()
            for gram in counts:
                longer[gram[order - k - 1 :]] = 1
            self.tables[k] = Counter(gram[1:] for gram in longer)
        self.followers = {}
        self.discounts = {}
        for k, table in self.tables.items():
            followers = defaultdict(list)
            for gram, count in table.items():
                followers[gram[:-1]].append(count)
            self.followers[k] = followers
            ones = sum(c == 1 for c in table.values())
            twos = sum(c == 2 for c in table.values())
            self.discounts[k] = ones / (ones + 2 * twos) if ones and twos else 0.5

    def p(self, context, symbol):
        p = 1 / NUM_SYMBOLS
        for k in range(1, self.order + 1):
            c = tuple(context[len(context) - k + 1 :])
            followers = self.followers[k].get(c)
            if followers:
                discount = self.discounts[k]
                seen = max(self.tables[k].get((*c, symbol), 0) - discount, 0)
                p = (seen + discount * len(followers) * p) / sum(followers)
        return p

    def nll(self, text):
        symbols = [END] * (self.order - 1) + list(text) + [END]
        return -sum(
            math.log(self.p(symbols[i - self.order + 1 : i], symbols[i]))
            for i in range(self.order - 1, len(symbols))
        )


@pytest.mark.parametrize("orders", [(1,), (2,), (5, 6, 8), (3, 8)])
def test_agrees_with_dictionaries(orders):
    train = [w.encode() for w in WORDS]
    held_out = [b"the people", b"", b"xyz the \xc3\xbc", b"of a union of the people"]
    fast = KneserNey.fit(train, orders=orders).nll_nats(held_out)
    for order in orders:
        naive = NaiveKneserNey(train, order)
        assert fast[order] == pytest.approx([naive.nll(t) for t in held_out], rel=1e-12)


def test_unigram_by_hand():
    # "aab": symbols a a b END. n1 = 2 (b, END), n2 = 1 (a): D = 2/4 = 0.5, three kinds, total 4.
    model = KneserNey.fit([b"aab"], orders=(1,))
    reserve = 0.5 * 3 / 4 / 256
    grams = np.array(sorted([ord("a"), ord("b"), ord("z")]), dtype=np.uint64)
    expected = [1.5 / 4 + reserve, 0.5 / 4 + reserve, reserve]
    assert model.probabilities(grams)[1] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(alphabet="ab é", max_size=12), min_size=1, max_size=6),
    st.text(alphabet="ab zé", max_size=8),
)
def test_probabilities_of_all_symbols_sum_to_one(train, context):
    model = KneserNey.fit([t.encode() for t in train], orders=(5, 6, 8))
    tail = (bytes([END]) * 7 + context.encode())[-7:]
    grams = np.array(sorted(pack(tail, symbol) for symbol in range(256)), dtype=np.uint64)
    for p in model.probabilities(grams).values():
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert (p > 0).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=5), st.lists(st.text(max_size=10), max_size=4))
def test_any_text_is_scored_and_documents_do_not_influence_each_other(train, held_out):
    model = KneserNey.fit([t.encode() for t in train], orders=(5, 8))
    texts = [t.encode() for t in held_out]
    together = model.nll_nats(texts)
    for order in (5, 8):
        alone = [model.nll_nats([t])[order][0] for t in texts]
        assert together[order] == pytest.approx(alone, rel=1e-12)
        assert np.isfinite(together[order]).all()


def test_without_training_text_every_symbol_is_equally_likely():
    nll = KneserNey.fit([], orders=(5, 6, 8)).nll_nats([b"abc"])
    assert nll[5] == pytest.approx([4 * math.log(256)])


def test_order_of_training_documents_does_not_matter():
    texts = [w.encode() for w in WORDS]
    one = KneserNey.fit(texts, orders=(5,)).nll_nats([b"the people"])[5]
    two = KneserNey.fit(texts[::-1], orders=(5,)).nll_nats([b"the people"])[5]
    assert one == two


def test_only_counted_symbols_are_summed():
    model = KneserNey.fit([w.encode() for w in WORDS], orders=(5,))
    texts = [b"the people", b"a union"]
    masks = [np.arange(len(t) + 1) % 2 == 0 for t in texts]
    even = model.nll_nats(texts, counted=masks)[5]
    odd = model.nll_nats(texts, counted=[~m for m in masks])[5]
    assert even + odd == pytest.approx(model.nll_nats(texts)[5])
    assert (even > 0).all()
    assert (odd > 0).all()


def test_longer_context_helps_on_repeated_text():
    train = [b"four score and seven years ago our fathers brought forth"] * 3
    nll = KneserNey.fit(train, orders=(1, 3, 5, 8)).nll_nats([b"seven years ago our fathers"])
    assert nll[1] > nll[3] > nll[5]


def test_text_beyond_one_slice_is_counted_the_same(monkeypatch):
    texts = [w.encode() for w in WORDS * 3]
    whole = KneserNey.fit(texts, orders=(5, 8)).nll_nats(texts)
    monkeypatch.setattr("lmcore.evaluation.baselines.ngram._SLICE", 5)
    sliced = KneserNey.fit(texts, orders=(5, 8)).nll_nats(texts)
    for order in (5, 8):
        assert (whole[order] == sliced[order]).all()
