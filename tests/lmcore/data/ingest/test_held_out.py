"""As much is held out as was asked for, within the tolerance; else one sentence says why not."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.held_out import TOLERANCE
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import MIN_VALIDATION_CLUSTERS, SplitLedger
from lmcore.errors import SourceError

Write = Callable[..., dict[str, Any]]
RunIngest = Callable[..., DocumentSet]


def _text(topic: object, *, words: int = 40) -> str:
    return " ".join(hashlib.sha256(f"{topic} {i}".encode()).hexdigest()[:7] for i in range(words))


def _drafts(topic: object, count: int, *, words: int = 60) -> list[str]:
    """Near-copies: one text, each with another end."""
    return [f"{_text(topic, words=words)} {_text((topic, i), words=3)}" for i in range(count)]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(2, 40), max_size=12),
    st.integers(20, 120),
    st.sampled_from([0.05, 0.1, 0.3]),
)
def test_the_held_out_share_keeps_its_tolerance(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], singles: int, fraction: float
) -> None:
    root = tmp_path_factory.mktemp("held_out")
    texts = [_text(("single", i)) for i in range(singles)]
    for number, size in enumerate(sizes):
        texts += _drafts(number, size)
    path = root / "a.txt"
    path.write_text("\n".join(texts))
    try:
        found = ingest(
            ContentStore(root / "store"),
            sources=[SourceConfig(path=str(path), format="lines")],
            data=DataConfig(validation_fraction=fraction),
            policy=PolicyConfig(),
            ledger=SplitLedger(root / "split.sqlite"),
        )
    except SourceError:
        found = None
    if found is None:
        assert max(sizes, default=0) > len(texts) / 2
        return
    held = [d.cluster for d in found.iter_documents("validation")]
    least, most = (factor * fraction * len(texts) for factor in TOLERANCE)
    assert len(held) >= least
    assert len(held) <= most or len(set(held)) <= MIN_VALIDATION_CLUSTERS


@pytest.mark.parametrize("seed", range(8))
def test_a_large_cluster_is_for_training(
    run_ingest: RunIngest, write_lines: Write, seed: int
) -> None:
    drafts = _drafts(seed, 45)
    found = run_ingest(write_lines("a.txt", [*drafts, *(_text((seed, i)) for i in range(60))]))
    assert {d.split for d in found.iter_documents() if d.text in drafts} == {"train"}
    assert 0.05 * 105 <= found.count("validation") <= 0.2 * 105
    # Large in bytes alone is large too.
    long = _drafts(seed, 5, words=2_000)
    found = run_ingest(
        write_lines("b.txt", [*long, *(_text((seed, i)) for i in range(60))]), home="bytes"
    )
    assert {d.split for d in found.iter_documents() if d.text in long} == {"train"}


def test_a_cluster_of_nearly_everything_is_refused_with_an_example_and_a_way_out(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    texts = [*_drafts("letter", 45), *(_text(i) for i in range(3))]
    with pytest.raises(SourceError) as caught:
        run_ingest(write_lines("a.txt", texts))
    message = str(caught.value)
    assert "45 of 48 documents are near-copies of one another, a.txt:1 among them" in message
    assert "2 documents would be held out" in message
    assert "data.validation_fraction=0.1 means 5% to 20%" in message
    assert "data.near_duplicates: false" in message
    apart = run_ingest(write_lines("a.txt", texts), near_duplicates=False)
    assert 0.05 * 48 <= apart.count("validation") <= 0.2 * 48


def test_sources_that_name_what_is_held_out_are_taken_at_their_word(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    drafts = _drafts("held", 45)
    held = write_lines("v.txt", drafts, split="validation")
    found = run_ingest(write_lines("t.txt", [_text(i) for i in range(50)]), held)
    assert {d.split for d in found.iter_documents() if d.text in drafts} == {"validation"}


def test_what_is_known_is_not_moved_to_keep_the_share(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    texts = [_text(i) for i in range(100)]
    before = {d.text: d.split for d in run_ingest(write_lines("a.txt", texts)).iter_documents()}
    held = [text for text in texts if before[text] == "validation"]
    rest = [text for text in texts if before[text] != "validation"]
    # Half of what is left was held out.
    found = run_ingest(write_lines("b.txt", held + rest[: len(held)]))
    assert {d.text: d.split for d in found.iter_documents()}.items() <= before.items()
