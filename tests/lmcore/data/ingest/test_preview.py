"""A look reads what a run reads: the same texts, the same reasons, and nothing is remembered."""

import json
from pathlib import Path
from typing import Any

import office_files as office
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentences import sentences

from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.ingest import preview as module
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.preview import FileReading, preview
from lmcore.data.ingest.split import SplitLedger
from lmcore.errors import SourceError


def look(place: Path, *, config: dict[str, Any] | None = None, **data: Any) -> module.Preview:
    return preview([SourceConfig(path=str(place), **(config or {}))], data=DataConfig(**data))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(office.pdf(["Write to ann@example.org.", None]))
    (folder / "b.txt").write_bytes("Der Bär läuft über die Straße und grüßt.".encode("cp1252"))
    texts = sentences(50)
    rows = "".join(f"{text};{i % 2}\n" for i, text in enumerate([*texts, texts[1], ""]))
    (folder / "c.csv").write_text("text;label\n" + rows)
    (folder / "picture.png").write_bytes(b"x")
    return folder


def test_every_file_is_told_with_what_it_gave(mixed: Path) -> None:
    found = look(mixed, config={"target_field": None})
    assert found.files == [
        FileReading(source=0, name="a.pdf", format="pdf", records=1),
        FileReading(source=0, name="b.txt", format="text", encoding="utf-8", set_aside=1),
        FileReading(source=0, name="c.csv", format="csv", encoding="utf-8", records=52),
    ]
    assert [(bad.file, bad.position) for bad in found.set_aside] == [("b.txt", 1)]
    assert {left.file for left in found.left_out} == {"a.pdf:page 2", "picture.png"}
    assert found.documents == 51
    assert found.account["exact_duplicates"]["documents"] == 1
    assert found.account["dropped"]["empty"]["documents"] == 1
    assert found.samples[0].text == "Write to <EMAIL>."
    assert len(found.samples) == 5
    (stop,) = found.stops
    assert "1 of 54 records cannot be read" in stop
    assert next(iter(found.languages["texts"])) == "en"
    assert sum(found.sides.values()) == 51


def test_a_look_at_nothing_says_so_and_names_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    found = look(tmp_path)
    assert found.documents == 0
    assert "no document is left" in found.stops[0]
    assert [(bad.file, bad.reason) for bad in found.set_aside] == [("empty.txt", "empty file")]
    with pytest.raises(SourceError, match="does not exist"):
        look(tmp_path / "gone")


def test_a_run_that_fails_at_the_first_bad_input_is_looked_at_to_the_end(mixed: Path) -> None:
    found = look(mixed, on_bad_input="fail", max_quarantine_share=1.0)
    assert found.documents == 51
    assert found.stops == ["data.on_bad_input: fail, and something cannot be read"]


def test_lists_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n' + "no\n" * 9)
    for number in range(6):
        (tmp_path / f"b{number}.txt").write_text(f"text {number}")
        (tmp_path / f"c{number}.png").write_text("x")
    found = look(tmp_path, max_quarantine_share=1.0)
    assert (len(found.files), len(found.set_aside), len(found.left_out)) == (3, 3, 3)
    assert found.documents == 7


LINE = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(lambda text: json.dumps({"text": text}).encode()),
)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINE, max_size=12), st.sampled_from(["jsonl", "csv", "txt", "md"]))
def test_a_look_counts_as_a_run_does(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], kind: str
) -> None:
    root = tmp_path_factory.mktemp("look")
    header = b"text\n" if kind == "csv" else b""
    (root / f"a.{kind}").write_bytes(header + b"\n".join(lines))
    (root / "b.jsonl").write_text("".join(f'{{"text": "line {i}"}}\n' for i in range(30)))
    sources = [SourceConfig(path=str(root / name)) for name in (f"a.{kind}", "b.jsonl")]
    data = DataConfig(near_duplicates=False, max_quarantine_share=1.0)
    found = preview(sources, data=data)
    made = ingest(
        ContentStore(root / "store"),
        sources=sources,
        data=data,
        policy=PolicyConfig(),
        ledger=SplitLedger(root / "split.sqlite"),
    )
    assert found.documents == made.summary["documents"]
    assert [(b.file, b.position, b.reason) for b in found.set_aside] == [
        (e["path"], e["position"], e["reason"]) for e in made.quarantine()
    ]
    assert sum(file.records + file.set_aside for file in found.files) >= found.documents
    assert found.account["records"] == {
        key: value
        for key, value in made.account()["records"].items()
        if key in found.account["records"]
    }


def test_nothing_is_left_behind(
    mixed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    look(mixed)
    assert list((tmp_path / "temporary").iterdir()) == []
