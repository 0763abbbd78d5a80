"""Where texts end up: clusters, sides, and counts of both that agree."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.data.config import DataConfig
from lmcore.data.documents import SPLITS
from lmcore.data.ingest import mapped_columns
from lmcore.data.ingest.assignment import assign
from lmcore.data.ingest.places import BRIDGING, PlacedTexts
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.ingest.staging import Staging
from lmcore.data.text.cleaning import document_id

Stage = Callable[..., Staging]


def _speech(topic: int) -> str:
    return " ".join(f"word{topic}x{i * i}" for i in range(300))


@pytest.fixture(params=[1 << 16, 7], ids=["one block", "blocks of seven"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows are looked at together changes nothing."""
    monkeypatch.setattr(mapped_columns, "_BLOCK", request.param)


@pytest.mark.usefixtures("blocks")
def test_where_texts_ended_up_and_how_many_clusters_that_makes(
    stage: Stage, tmp_path: Path
) -> None:
    speech = _speech(1)
    texts = [*(f"Text {i} says {i * 7919}." for i in range(60)), speech, speech + " and more"]
    staging = stage(*((text, "validation" if text == texts[1] else None) for text in texts))
    ledger = SplitLedger(tmp_path / "split.sqlite")
    places, _ = assign(staging, data=DataConfig(), ledger=ledger)
    found = [
        PlacedTexts.of(some, places)
        for part, rows in staging.parts()
        for some in staging.stretches_of(part, rows, ("file", "position", "text"))
    ]
    ids = [identity.tobytes().hex() for some in found for identity in some.ids]
    clusters = [cluster.tobytes().hex() for some in found for cluster in some.clusters]
    sides = [SPLITS[code] for some in found for code in some.sides]
    assert ids == [document_id(text) for text in texts]
    assert [text for some in found for text in some.texts["text"].to_pylist()] == texts
    assert [shared for some in found for shared in some.shared] == [False] * 60 + [True] * 2
    assert clusters[60] == clusters[61] == min(ids[60:])
    assert clusters[:60] == ids[:60]
    assert sides[1] == "validation"
    counts = places.counts()
    assert (counts.num_shared, counts.documents_in_shared) == (1, 2)
    assert counts.by_side == {
        side: len({cluster for cluster, own in zip(clusters, sides, strict=True) if own == side})
        for side in set(sides)
    }
    assert sum(counts.by_side.values()) == 61
    assert places.excluded(BRIDGING) == 0


@pytest.mark.usefixtures("blocks")
def test_what_is_like_two_sides_is_on_none_and_what_is_like_validation_is_not_learnt(
    stage: Stage, tmp_path: Path
) -> None:
    ledger = SplitLedger(tmp_path / "split.sqlite")
    base = [(f"Text {i} says {i * 7919}.", None) for i in range(60)]
    speeches = [_speech(topic) for topic in range(40)]
    before = stage(*base, *((speech, None) for speech in speeches))
    sides = assign(before, data=DataConfig(), ledger=ledger)[0].sides[60:]
    learnt, held = (
        next(i for i, code in enumerate(sides) if SPLITS[code] == side)
        for side in ("train", "validation")
    )
    bridge = f"{speeches[learnt]} {speeches[held]}"
    # A copy of a text for training, and one of a text that another source holds out by name.
    named, other = [i for i in range(40) if i != learnt and SPLITS[sides[i]] == "train"][:2]
    after = stage(
        *base,
        (speeches[learnt], None),
        (speeches[held], None),
        (bridge, None),
        (speeches[named] + " and more", "validation"),
        (speeches[named], "train"),
        (speeches[other], "train"),
    )
    places, found = assign(after, data=DataConfig(), ledger=ledger)
    ended = [SPLITS[code] for code in places.sides[60:]]
    assert ended == ["train", "validation", "excluded", "validation", "excluded", "train"]
    assert (found.bridging, found.copies) == (1, 1)
    assert Counter(ended)["excluded"] == 2
