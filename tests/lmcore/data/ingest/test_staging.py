"""Texts between the two passes: each once, in order, with the side that its sources name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import DataConfig
from lmcore.data.copies.deduplication import SIGNATURE_BYTES
from lmcore.data.ingest.assignment import assign
from lmcore.data.ingest.staging import Staged, Staging
from lmcore.data.text.cleaning import document_id


def item(text: str, *, date: str | None = None, target: str | None = None) -> Staged:
    return Staged(
        id=bytes.fromhex(document_id(text)),
        text=text,
        name=f"name of {text[:9]}",
        source=1,
        num_bytes=len(text.encode()),
        date=date,
        target=target,
    )


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    staging = Staging(tmp_path, near_duplicates=True)
    yield staging
    staging.close()


def forced(staging: Staging) -> list[str | None]:
    return [side for (side,) in staging.work.execute("SELECT forced FROM current ORDER BY row")]


def test_what_is_staged_streams_back_as_it_was(staging: Staging) -> None:
    items = [item("one"), item("zwei ß\n", date="2020-01-02"), item("", target="label")]
    assert [staging.add(one, forced=None) for one in items] == [True] * 3
    staging.finish()
    assert list(staging.rows()) == [
        {
            "stage": stage,
            "text": one.text,
            "name": one.name,
            "source": 1,
            "num_bytes": one.num_bytes,
            "date": one.date,
            "target": one.target,
        }
        for stage, one in enumerate(items)
    ]


def test_a_text_is_staged_once(staging: Staging) -> None:
    assert staging.add(item("one"), forced=None)
    assert not staging.add(item("one", date="2020-01-01"), forced=None)
    assert staging.add(item("two"), forced=None)
    staging.finish()
    assert [(row["text"], row["date"]) for row in staging.rows()] == [("one", None), ("two", None)]
    assert staging.num_rows == 2


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([None, "train", "validation"]), min_size=1, max_size=5))
def test_the_named_side_does_not_depend_on_the_order_of_sources(
    tmp_path_factory: pytest.TempPathFactory, sides: list[str | None]
) -> None:
    staging = Staging(tmp_path_factory.mktemp("staging"), near_duplicates=False)
    for side in sides:
        staging.add(item("one"), forced=side)
    expected = next((s for s in ("validation", "train") if s in sides), None)
    assert forced(staging) == [expected]
    staging.finish()
    staging.close()


@pytest.mark.parametrize("near_duplicates", [True, False])
def test_a_forgotten_file_leaves_no_trace_but_its_rows(
    tmp_path: Path, near_duplicates: bool
) -> None:
    def signatures(name: str, texts: list[str], forgotten: list[str]) -> bytes:
        folder = tmp_path / name
        folder.mkdir()
        staging = Staging(folder, near_duplicates=near_duplicates)
        for text in texts[:2]:
            staging.add(item(text), forced=None)
        if forgotten:
            for text in forgotten:
                staging.add(item(text), forced=None)
            assert staging.forget_from(2) == len(forgotten)
        for text in texts[2:]:
            assert staging.add(item(text), forced=None)
        staging.finish()
        assert staging.num_rows == len(texts)
        kept = staging.work.execute("SELECT row, id FROM current ORDER BY row").fetchall()
        assert kept == [(row, item(text).id) for row, text in enumerate(texts)]
        # The texts of the file are in the stream still; what follows has its own place in it.
        streamed = [row["text"] for row in staging.rows()]
        assert streamed == [*texts[:2], *forgotten, *texts[2:]]
        places = staging.work.execute("SELECT stage FROM current ORDER BY row").fetchall()
        assert [streamed[stage] for (stage,) in places] == texts
        staging.close()
        return staging.signatures_path.read_bytes()

    texts = [f"a text of some words and the number {i}" for i in range(5)]
    # One of the texts comes again later, in a file that is sound.
    forgotten = ["of a bomb", texts[3], "and more of it", "and more", "than what follows"]
    plain = signatures("plain", texts, [])
    assert signatures("bomb", texts, forgotten) == plain
    assert len(plain) == len(texts) * SIGNATURE_BYTES * near_duplicates


def test_where_texts_ended_up_and_how_many_clusters_that_makes(
    staging: Staging, tmp_path: Path
) -> None:
    speech = " ".join(f"word{i * i}" for i in range(300))
    texts = [*(f"Text {i} says {i * 7919}." for i in range(60)), speech, speech + " and more"]
    for text in texts:
        staging.add(item(text), forced="validation" if text.startswith("Text 1 ") else None)
    staging.finish()
    assign(staging, data=DataConfig(), ledger_path=tmp_path / "split.sqlite")
    found = list(staging.decided())
    assert [place.stage for place in found] == list(range(62))
    assert [place.id for place in found] == [item(text).id for text in texts]
    assert [place.shared for place in found] == [False] * 60 + [True] * 2
    assert found[60].cluster == found[61].cluster == min(found[60].id, found[61].id)
    assert all(place.cluster == place.id for place in found[:60])
    assert found[1].side == "validation"
    counts = staging.clusters()
    assert (counts.num_shared, counts.documents_in_shared) == (1, 2)
    assert counts.by_side == {
        side: len({place.cluster for place in found if place.side == side})
        for side in {place.side for place in found}
    }
    assert sum(counts.by_side.values()) == 61
