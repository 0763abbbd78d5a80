"""Which documents a budget leaves: the first of the same order, and the same further ones."""

import pytest

from lmcore.evaluation.budget.plan import AS_CONFIGURED, Amount, EvaluationPlan
from lmcore.evaluation.chosen import chosen_documents
from lmcore.evaluation.inputs import ChampionInput

COUNT, SIZE = 40, 100


@pytest.fixture
def documents(document_set, document):
    return document_set([document(f"{i:03d}".ljust(SIZE), anchor=i % 2 == 0) for i in range(COUNT)])


def plan(**counts):
    amounts = {
        name: Amount(planned=count, most=COUNT, seconds=0.0) for name, count in counts.items()
    }
    return EvaluationPlan(budget_seconds=9, amounts=amounts)


def champion(documents, known):
    rows = list(documents.iter_rows("validation"))
    return ChampionInput(
        version=1,
        weights=documents.path,
        tokenizer=documents.path,
        key="k",
        known_ids=frozenset(row["id"] for row in rows[:known]),
    )


def choose(documents, plan=AS_CONFIGURED, *, max_bytes=10**6, known=None):
    beside = None if known is None else champion(documents, known)
    return chosen_documents(documents, champion=beside, max_bytes=max_bytes, plan=plan)


def test_all_is_scored_without_a_budget(documents):
    found = choose(documents, known=COUNT // 2)
    assert len(found.uniform) == COUNT
    assert found.uniform == found.scored == found.configured
    assert found.configured_bytes == COUNT * SIZE
    assert not found.limited


def test_a_budget_takes_the_first_and_a_larger_one_only_adds(documents):
    few, more = (choose(documents, plan(validation_documents=n)) for n in (5, 9))
    assert (len(few.uniform), len(more.uniform)) == (5, 9)
    assert few.uniform < more.uniform < few.configured
    assert few.limited
    assert len(few.configured) == COUNT


def test_beside_a_sample_stand_further_fresh_and_anchor_documents(documents):
    size = 12 * SIZE
    whole = choose(documents, max_bytes=size, known=COUNT // 2)
    assert len(whole.uniform) == 12
    assert whole.uniform < whole.scored
    counts = {"validation_documents": 12, "fresh_documents": 1, "anchor_documents": 0}
    less = choose(documents, plan(**counts), max_bytes=size, known=COUNT // 2)
    assert less.uniform == whole.uniform
    assert len(less.scored - less.uniform) <= 1
    assert choose(documents, max_bytes=size).scored == whole.uniform
