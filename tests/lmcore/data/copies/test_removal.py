"""Removed text stays out: by id, edited, cut out, in every later ingest; nothing is unlearnt."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.copies.removal import Removal, Removals, add_removals, read_removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.text.cleaning import document_id
from lmcore.errors import IntegrityError
from lmcore.mending import mendings


def text(seed: int, count: int = 200) -> str:
    rng = random.Random(seed)
    return " ".join(f"w{rng.randrange(20_000)}" for _ in range(count))


def removal(body: str, **changes: Any) -> Removal:
    details: dict[str, Any] = {
        "document": document_id(body),
        "sketch": sketch_text(body, kept=4_096, max_shift=16),
        "reason": "asked for",
        "who": "somebody",
        "at": "2026-01-02T03:04:05+00:00",
    }
    return Removal(**{**details, **changes})


def ingested(folder: Path, texts: list[str], removals: Removals, name: str = "a") -> DocumentSet:
    source = folder / f"{name}.txt"
    source.write_text("".join(f"{line}\n" for line in texts))
    return ingest(
        ContentStore(folder / "store"),
        sources=[SourceConfig(path=str(source), format="lines", license="CC0-1.0")],
        data=DataConfig(),
        policy=PolicyConfig(),
        ledger=SplitLedger(folder / "splits.sqlite"),
        removals=removals,
    )


def test_a_removed_document_and_its_copies_are_kept_out_and_counted(tmp_path: Path) -> None:
    texts = [text(i) for i in range(30)]
    words = texts[3].split()
    words[50] = words[120] = "changed"
    copies = [" ".join(words), " ".join(texts[3].split()[:120]), f"{text(77)} {texts[3]}"]
    before = ingested(tmp_path, texts, Removals())
    removals = Removals.of([removal(texts[3])])
    after = ingested(tmp_path, [*texts, *copies], removals, "b")
    assert {d.text for d in before.iter_documents()} == set(texts)
    assert {d.text for d in after.iter_documents()} == set(texts) - {texts[3]}
    assert after.summary["removed_documents"] == 4
    assert after.summary["removals"] == 1
    account = after.account()
    assert account["dropped"]["removed"]["documents"] == 4
    assert account["records"]["read"] == account["records"]["documents"] + 4
    # The others stay on their sides.
    sides = {d.id: d.split for d in before.iter_documents()}
    assert all(sides[d.id] == d.split for d in after.iter_documents())


def test_a_removed_document_in_another_form_is_kept_out(copy_of: Callable[[str], str]) -> None:
    bodies = [text(i, 200 if i % 2 else 3).replace("w", "word ") for i in range(60)]
    removals = Removals.of([removal(body) for body in bodies])
    for body in bodies:
        copy = copy_of(body)
        found = removals.match(document_id(copy), copy)
        assert found is not None
        assert found.document == document_id(body)
        # And the other way round.
        assert Removals.of([removal(copy)]).match(document_id(body), body) is not None


def test_a_removal_changes_the_key_and_one_of_another_model_does_not(tmp_path: Path) -> None:
    texts = [text(i) for i in range(40)]
    everywhere, elsewhere = removal(texts[0]), removal(texts[1], model="other")
    both = Removals.of([everywhere, elsewhere])
    assert len(both.for_model("mine")) == 1
    assert both.for_model("mine").digest == Removals.of([everywhere]).digest
    assert Removals().digest == ""
    keys = {
        ingested(tmp_path, texts, found).key for found in (Removals(), both.for_model("mine"), both)
    }
    assert len(keys) == 3


def test_an_id_alone_removes_that_text_alone() -> None:
    found = Removals.of([removal(text(1), sketch=None)])
    assert found.match(document_id(text(1)), text(1)) is not None
    edited = text(1) + " more"
    assert found.match(document_id(edited), edited) is None


def test_the_list_adds_each_removal_once_and_keeps_every_line(tmp_path: Path) -> None:
    path = tmp_path / "removals.jsonl"
    assert len(read_removals(path)) == 0
    add_removals(path, [removal(text(1))])
    first = path.read_bytes()
    # Asked again by another person, later: the first request stands.
    again = add_removals(path, [removal(text(1), who="other", at="2027-01-01T00:00:00+00:00")])
    assert path.read_bytes() == first
    assert [e.who for e in again.entries] == ["somebody"]
    assert len(add_removals(path, [removal(text(2)), removal(text(1), model="m")])) == 3
    assert path.read_bytes().startswith(first)
    read = read_removals(path)
    united = Removals.of([*read.entries, *read.entries])
    assert [e.to_json() for e in read.entries] == [e.to_json() for e in united.entries]
    assert text(1).split()[0] not in path.read_text()


def test_a_line_torn_by_a_crash_is_cut_off_and_a_damaged_one_stops_everything(
    tmp_path: Path,
) -> None:
    path = tmp_path / "removals.jsonl"
    add_removals(path, [removal(text(1))])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    assert len(read_removals(path)) == 1
    assert len(add_removals(path, [removal(text(2))])) == 2
    assert len(path.read_bytes().splitlines()) == 2
    lines = path.read_bytes().splitlines()
    path.write_bytes(lines[0].replace(b"sketch", b"sketsh") + b"\n" + lines[1] + b"\n")
    shutil.rmtree(path.parent / "kept")
    with pytest.raises(IntegrityError, match="line 1"):
        read_removals(path)
    with pytest.raises(IntegrityError):
        add_removals(path, [removal(text(3))])


@pytest.mark.parametrize("loss", ["missing", "empty", "another document", "a line"])
def test_a_list_that_was_damaged_or_lost_is_put_back(tmp_path: Path, loss: str) -> None:
    path = tmp_path / "removals.jsonl"
    add_removals(path, [removal(text(1))])
    add_removals(path, [removal(text(2))])
    whole = path.read_bytes()
    if loss == "missing":
        path.unlink()
    else:
        first, second = whole.splitlines(keepends=True)
        other = first.replace(b'"document":"', b'"document":"0')
        path.write_bytes({"empty": b"", "a line": first}.get(loss, other + second))
    assert len(read_removals(path)) == 2
    assert path.read_bytes() == whole
    (mending,) = mendings(tmp_path)
    assert mending.what == str(path)
    # What was added when the process was killed that keeps it counts as well.
    third = json.dumps(removal(text(3)).to_json()).encode() + b"\n"
    path.write_bytes(whole + third)
    assert len(read_removals(path)) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.pop("document"),
        lambda raw: raw.update(sketch="AAAA"),
        lambda raw: raw.update(sketch=3),
    ],
)
def test_what_is_no_removal_is_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    raw = json.loads(json.dumps(removal(text(1)).to_json()))
    change(raw)
    with pytest.raises(ValueError, match="no removal"):
        Removal.from_json(raw)
