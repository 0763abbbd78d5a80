"""What many texts share says nothing about copying; what they have of their own does."""

import errno
import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.config import DataConfig
from lmcore.data.copies.scratch import Scratch
from lmcore.data.copies.templates import MAX_SHARING
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest import staging
from lmcore.data.ingest.held_out import TOLERANCE
from lmcore.errors import StorageError

Write = Callable[..., dict[str, Any]]
RunIngest = Callable[..., DocumentSet]


def _texts(count: int) -> list[str]:
    return [f"Text number {i} says {i * i} and {i * 7919 % 104729}." for i in range(count)]


def _long(topic: str, *, words: int = 400) -> str:
    return " ".join(hashlib.sha256(f"{topic} {i}".encode()).hexdigest()[:7] for i in range(words))


@pytest.mark.parametrize(("copies", "clusters"), [(MAX_SHARING, 1), (MAX_SHARING + 1, 0)])
def test_a_passage_that_very_many_texts_hold_says_nothing_about_copying(
    run_ingest: RunIngest, write_lines: Write, copies: int, clusters: int
) -> None:
    # Six words of ten are the passage: contained enough, and too unlike for signatures.
    notice = _long("notice", words=600)
    texts = [f"{notice} {_long(f'own {i}', words=400)}" for i in range(copies)]
    found = run_ingest(write_lines("a.txt", [*_texts(60), *texts]))
    assert found.summary["near_duplicate_clusters"] == clusters
    members = {d.cluster for d in found.iter_documents() if d.text in texts}
    assert len(members) == (1 if clusters else copies)


FIELDS = (5, 10, 20)


def _letters(count: int, fields: int, *, start: int = 0, words: int = 200) -> list[str]:
    """Letters of one template of so many words, with own words in so many places."""
    passages = [_long(f"passage {i}", words=words // (fields + 1)) for i in range(fields + 1)]
    return [
        " ".join(
            [passages[0]]
            + [
                f"{_long(f'field {i} of {number}', words=2)} {passages[i + 1]}"
                for i in range(fields)
            ]
        )
        for number in range(start, start + count)
    ]


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("words", [200, 600])
def test_letters_of_one_template_are_split_like_other_texts(
    run_ingest: RunIngest, write_lines: Write, fields: int, words: int
) -> None:
    letters = _letters(600, fields, words=words)
    copies = [letter.upper() for letter in letters[:60]]
    found = run_ingest(write_lines("a.txt", [*letters, *copies]))
    least, most = (factor * DataConfig().validation_fraction * 660 for factor in TOLERANCE)
    assert least <= found.count("validation") <= most
    documents = {d.text: d for d in found.iter_documents()}
    together = [
        documents[letter].cluster == documents[copy].cluster
        for letter, copy in zip(letters, copies, strict=False)
    ]
    assert sum(together) == 60
    assert len({documents[letter].cluster for letter in letters}) > 590


@pytest.mark.parametrize(
    ("count", "words"), [(MAX_SHARING + 1, 220), (60, 180), (70, 130), (150, 130)]
)
def test_few_letters_are_split_too(
    run_ingest: RunIngest, write_lines: Write, count: int, words: int
) -> None:
    # Some have so few sampled shingles that they keep none, so fewer seem to share the others.
    found = run_ingest(write_lines("a.txt", _letters(count, 5, words=words)))
    assert 0.05 * count <= found.count("validation") <= 0.2 * count
    assert len({d.cluster for d in found.iter_documents()}) > 0.95 * count


def test_what_templates_share_is_counted(run_ingest: RunIngest, write_lines: Write) -> None:
    found = run_ingest(write_lines("a.txt", _letters(300, 5)))
    templates = found.account()["near_duplicates"]["templates"]
    assert (templates["templates"], templates["documents"]) == (1, 300)
    # Six passages of 33 words, and five fields of two, each of which breaks six shingles.
    assert templates["shared"] == pytest.approx(1 - 30 / 204, abs=0.05)
    assert found.summary["template_documents"] == 300
    assert found.summary["template_share"] == templates["shared"]


def test_letters_keep_their_sides_however_the_corpus_grows_and_shrinks(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    letters = _letters(500, 5)
    others = [_long(f"other {i}", words=60) for i in range(900)]
    known: dict[str, str] = {}
    runs = {
        "few": letters[:40] + others[:60],
        "most": letters[:300] + others[:60],
        "little": letters[:330] + others,  # a small part now, but taken apart for ever
        "gone": letters[330:340] + others[:90],
        "all": letters + others,
    }
    templates = []
    for name, texts in runs.items():
        found = run_ingest(write_lines(f"{name}.txt", texts))
        sides = {d.text: d.split for d in found.iter_documents()}
        assert {text: sides[text] for text in known if text in sides} == {
            text: side for text, side in known.items() if text in sides
        }
        known |= sides
        templates.append(found.summary["template_documents"])
    assert templates == [0, 300, 330, 340, 500]
    held_out = sum(known[letter] == "validation" for letter in letters[40:])
    assert 23 <= held_out <= 92
    assert "excluded" not in known.values()


def test_a_small_part_of_a_corpus_stays_together(run_ingest: RunIngest, write_lines: Write) -> None:
    others = [_long(f"other {i}", words=200) for i in range(60 * 25)]
    letters = _letters(60, 5)
    found = run_ingest(write_lines("a.txt", [*letters, *others]))
    assert len({d.cluster for d in found.iter_documents() if d.text in letters}) == 1
    assert found.summary["template_documents"] == 0


def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clustering hold a few records, and look nothing up."""
    little = partial(Scratch, memory=3_000, cache=0)
    monkeypatch.setattr(staging, "Scratch", little)


def test_clusters_are_the_same_with_little_memory(
    run_ingest: RunIngest, write_lines: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [_long(f"own {i}", words=120) for i in range(90)]
    inside = [f"{_long(f'around {i}', words=160)} {own[i]}" for i in range(30)]
    edited = [f"{_long(f'a word {i}', words=1)} {own[i]}" for i in range(30, 60)]
    letters = _letters(150, 5)
    texts = [*own, *inside, *edited, *letters, *(letter.upper() for letter in letters[:20])]
    ways: list[tuple[set[tuple[str, str, str]], object]] = []
    for home in ("much", "little"):
        first = run_ingest(write_lines("a.txt", texts[::2]), home=home)
        more = write_lines("b.txt", texts[::-3])
        second = run_ingest(more, write_lines("c.txt", texts[1::2]), home=home)
        for found in (first, second):
            documents = {(d.id, d.cluster, d.split) for d in found.iter_documents()}
            ways.append((documents, found.account()["near_duplicates"]))
        _little_memory(monkeypatch)
    assert ways[:2] == ways[2:]
    assert len({cluster for _, cluster, _ in ways[0][0]}) < len(ways[0][0])


def test_a_full_disk_while_clustering_leaves_nothing_and_the_next_run_goes_on(
    run_ingest: RunIngest, write_lines: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = write_lines("a.txt", [_long(f"own {i}", words=120) for i in range(60)])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        _little_memory(patched)
        patched.setattr("lmcore.data.copies.scratch.write", full)
        with pytest.raises(StorageError, match=r"work: no space is left on its disk"):
            run_ingest(source)
    assert not list((tmp_path / "home" / "store").rglob("work"))
    assert run_ingest(source).summary["documents"] == 60
