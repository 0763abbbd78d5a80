"""Ingest as a whole: the account adds up, bad input is kept aside, nothing is lost in silence."""

import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from declaration import ARTICLE_1
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.ingest import fingerprint_sources, ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.text.cleaning import document_id
from lmcore.errors import ConfigError, SourceError

Write = Callable[..., dict[str, Any]]
RunIngest = Callable[..., DocumentSet]


def _texts(count: int) -> list[str]:
    return [f"Text number {i} says {i * i} and {i * 7919 % 104729}." for i in range(count)]


def _adds_up(found: DocumentSet) -> dict[str, Any]:
    account = found.account()
    records = account["records"]
    assert records["read"] == (
        records["documents"]
        + records["exact_duplicates"]
        + records["dropped"]
        + records["quarantined"]
    )
    assert records["documents"] == found.count() == found.summary["documents"]
    assert records["quarantined"] == len(list(found.quarantine())) == found.summary["quarantined"]
    assert sum(s["documents"] for s in found.sources()) == found.count()
    assert sum(found.summary["licenses"].values()) == found.num_bytes() == found.summary["bytes"]
    for side, counts in account["split"]["sides"].items():
        assert counts["documents"] == found.count(side) == found.summary[f"{side}_documents"]
        assert counts["bytes"] == found.num_bytes(side) == found.summary[f"{side}_bytes"]
    return account


def test_documents_carry_where_they_came_from(run_ingest: RunIngest, write_lines: Write) -> None:
    a = write_lines("a.txt", _texts(40), license="cc0-1.0", origin="the archive")
    b = write_lines("b.txt", ["only here", *_texts(3)])
    found = run_ingest(a, b)
    document = next(d for d in found.iter_documents() if d.text == "only here")
    assert (document.name, document.source, document.license) == ("b.txt:1", 1, "unknown")
    assert document.id == document_id("only here")
    assert document.num_bytes == 9
    first = next(found.iter_documents())
    assert (first.name, first.license, first.origin) == ("a.txt:1", "CC0-1.0", "the archive")
    assert found.summary["blocked_licenses"] == ["unknown"]
    assert run_ingest(a, b, policy={"unknown_license": "allow"}).summary["blocked_licenses"] == []
    account = _adds_up(found)
    assert account["exact_duplicates"]["names"] == ["b.txt:2", "b.txt:3", "b.txt:4"]
    (file,) = found.sources()[1]["files"]
    assert file["name"] == "b.txt"
    assert len(file["sha256"]) == 64
    assert "/" not in json.dumps(found.sources())


def test_hostile_input_is_set_aside_with_a_count_and_a_reason(
    run_ingest: RunIngest, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "good.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in _texts(60)))
    (folder / "bad.jsonl").write_bytes(
        b'{"text": "\\ud800 surrogate"}\nno json\n{"other": 1}\n{"text": "nul \\u0000 inside"}\n'
        b'{"text": "   "}\n{"text": "\xc3\x28"}\n{"text": "caf\\u0065\\u0301 \\ufeff ok"}\n'
    )
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 40)
    (folder / "empty.txt").write_bytes(b"")
    (folder / "latin1.txt").write_bytes("café".encode("latin-1"))
    (folder / "giant.txt").write_bytes(b"x" * 5_000)
    (folder / "cut.txt.gz").write_bytes(gzip.compress(b"some text\n" * 900)[:-12])
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    found = run_ingest({"path": str(folder)}, max_document_bytes=4_096)
    texts = {d.text for d in found.iter_documents()}
    assert texts >= {*_texts(60), "nul  inside", "café  ok"}
    quarantined = {(e["path"], e["position"]): e["reason"] for e in found.quarantine()}
    assert {path for path, _ in quarantined} == {
        "bad.jsonl",
        "binary.txt",
        "empty.txt",
        "latin1.txt",
        "giant.txt",
        "cut.txt.gz",
        "gone.txt",
    }
    assert [p for n, p in quarantined if n == "bad.jsonl"] == [1, 2, 3, 6]
    assert "surrogate" in quarantined["bad.jsonl", 1]
    assert quarantined["latin1.txt", 1] == "invalid UTF-8"
    account = _adds_up(found)
    assert account["dropped"] == {"empty": {"documents": 1, "bytes": 0}}
    assert account["rules"]["control_characters"] == {"documents": 1, "removed_bytes": 1}
    with pytest.raises(SourceError, match=r"bad\.jsonl:1: .*data\.on_bad_input"):
        run_ingest({"path": str(folder)}, on_bad_input="fail")


def test_a_text_of_invisible_characters_is_empty(run_ingest: RunIngest, write_lines: Write) -> None:
    invisible = ["\u200b\u00ad\u2060", "\u3164\u3164", "\u2800", "\U000e0041\ufe0f", "\ufffc"]
    found = run_ingest(write_lines("a.txt", [*_texts(60), *invisible, "a\u200bb"]))
    assert found.account()["dropped"]["empty"]["documents"] == len(invisible)
    assert {d.text for d in found.iter_documents()} == {*_texts(60), "a\u200bb"}
    _adds_up(found)


LINE = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda t: json.dumps({"text": t}).encode()),
    st.sampled_from([b"\xef\xbb\xbf", b"\x00", b'{"text": 1}', b"x" * 3_000, b"\r", b'"']),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(LINE, max_size=15), st.sampled_from(["jsonl", "csv", "tsv", "txt"]))
def test_any_bytes_are_read_and_the_account_adds_up(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], kind: str
) -> None:
    root = tmp_path_factory.mktemp("hostile")
    header = b"text\n" if kind in ("csv", "tsv") else b""
    (root / f"a.{kind}").write_bytes(header + b"\n".join(lines))
    (root / "b.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in _texts(30)))
    found = ingest(
        ContentStore(root / "store"),
        sources=[SourceConfig(path=str(root / name)) for name in (f"a.{kind}", "b.jsonl")],
        data=DataConfig(max_document_bytes=2_048, near_duplicates=False, max_quarantine_share=1.0),
        policy=PolicyConfig(),
        ledger=SplitLedger(root / "split.sqlite"),
    )
    _adds_up(found)
    for document in found.iter_documents():
        document.text.encode()
        assert "\x00" not in document.text
        assert document.id == document_id(document.text)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", "nope\nno\n", ["a.jsonl:1", "not JSON", "2 of 2"]),
        ("a.txt", "", ["empty file"]),
        ("a.txt", " \n\n \n", ["no document is left"]),
        ("a.txt", "\x00\x01", ["binary"]),
        ("a.jsonl", '{"title": "x"}\n', ["no key 'text'", "'title'"]),
    ],
)
def test_no_document_at_all_is_one_clear_sentence(
    run_ingest: RunIngest, tmp_path: Path, name: str, content: str, words: list[str]
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SourceError) as caught:
        run_ingest({"path": str(tmp_path / name)})
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert caught.value.exit_code == 2


def test_rules_drop_by_size_and_date(run_ingest: RunIngest, tmp_path: Path) -> None:
    rows = [{"text": t, "day": f"20{i:02d}-06-01"} for i, t in enumerate(_texts(60))]
    rows += [
        {"text": "tiny", "day": "2000-01-01"},
        {"text": "a year only, of long ago", "day": "2030"},
        {"text": "a month only, of long ago", "day": "2030-06"},
        {"text": "nobody knows when this was", "day": ""},
        {"text": "nor when this was", "day": None},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run_ingest(
        {"path": str(path), "date_field": "day"}, as_of=date(2030, 6, 30), min_document_bytes=10
    )
    account = _adds_up(found)
    assert {k: v["documents"] for k, v in account["dropped"].items()} == {
        "later_than_as_of": 30,
        "shorter_than_min_document_bytes": 1,
        "without_date": 2,
    }
    assert account["dropped"]["without_date"]["names"] == ["a.jsonl:64", "a.jsonl:65"]
    assert max(d.date or "" for d in found.iter_documents()) == "2030-06-30"


def test_a_day_to_read_up_to_needs_to_know_where_dates_are(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    source = write_lines("a.txt", _texts(40))
    with pytest.raises(SourceError) as caught:
        run_ingest(source, as_of=date(2030, 6, 30))
    assert "40 texts were without date" in str(caught.value)
    assert "date_field is missing in sources[0]" in str(caught.value)


def test_masking_is_counted_and_can_be_switched_off(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    source = write_lines("a.txt", [*_texts(40), "mail me: ann@example.org or bob@example.org"])
    masked = run_ingest(source)
    assert masked.account()["masked"] == {"documents": 1, "replacements": {"EMAIL": 2}}
    (text,) = [d.text for d in masked.iter_documents() if "mail" in d.text]
    assert text == "mail me: <EMAIL> or <EMAIL>"
    kept = run_ingest(source, pii="keep")
    assert any("ann@example.org" in d.text for d in kept.iter_documents())
    assert kept.account()["masked"]["documents"] == 0


def test_the_same_input_is_not_read_twice_and_a_new_byte_is(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    first = run_ingest(write_lines("a.txt", _texts(40)))
    before = (first.path / "manifest.json").stat().st_mtime_ns
    again = run_ingest(write_lines("a.txt", _texts(40)))
    assert again.key == first.key
    assert (again.path / "manifest.json").stat().st_mtime_ns == before
    assert run_ingest(write_lines("a.txt", _texts(41))).key != first.key
    assert run_ingest(write_lines("a.txt", _texts(40)), pii="keep").key != first.key
    moved = write_lines("a.txt", _texts(40))
    elsewhere = Path(moved["path"]).parent / "sub"
    elsewhere.mkdir()
    Path(moved["path"]).rename(elsewhere / "a.txt")
    assert run_ingest({**moved, "path": str(elsewhere / "a.txt")}).key == first.key


def test_two_homes_agree_byte_for_byte(run_ingest: RunIngest, write_lines: Write) -> None:
    source = write_lines("a.txt", _texts(200))
    one, two = run_ingest(source, home="one"), run_ingest(source, home="two")
    for name in ("documents-00000.parquet", "ledger.json", "sources.json", "quarantine.jsonl"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


def test_a_failed_ingest_leaves_no_folder_and_the_next_gives_what_it_would_have(
    run_ingest: RunIngest, write_lines: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    source = write_lines("a.txt", _texts(40))
    monkeypatch.setattr("lmcore.data.ingest.document_files.DocumentFiles._write", fail)
    with pytest.raises(OSError, match="disk full"):
        run_ingest(source)
    folder = tmp_path / "home" / "store" / "documents"
    assert [p.name for p in folder.iterdir() if p.is_dir()] == []
    monkeypatch.undo()
    again, unbroken = run_ingest(source), run_ingest(source, home="other")
    assert list(again.iter_documents()) == list(unbroken.iter_documents())
    assert again.count() == 40


def test_a_bad_licence_names_its_key(run_ingest: RunIngest, write_lines: Write) -> None:
    with pytest.raises(ConfigError, match=r"sources\[0\]\.license: 'free'"):
        run_ingest(write_lines("a.txt", _texts(40), license="free"))


def test_progress_names_the_passes(write_lines: Write, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    sources = [SourceConfig(**write_lines("a.txt", _texts(2_500)))]
    fingerprint = fingerprint_sources(sources)
    ingest(
        ContentStore(tmp_path / "store"),
        sources=sources,
        data=DataConfig(near_duplicates=False),
        policy=PolicyConfig(),
        ledger=SplitLedger(tmp_path / "split.sqlite"),
        fingerprint=fingerprint,
        progress=lambda label, number: seen.append((label, number)),
    )
    assert seen == [
        ("read", 1000),
        ("read", 2000),
        ("read", 2500),
        ("split", 2500),
        ("write", 2500),
    ]


def test_languages_are_in_the_ledger_and_a_mixture_is_remarked_on(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    lines = [f"{n}. {ARTICLE_1[code]}" for n in range(12) for code in ("en", "de")]
    source = write_lines("a.txt", [*lines, "42"], license="CC0-1.0")
    found = run_ingest(source)
    spoken = found.account()["languages"]
    assert {code: entry["documents"] for code, entry in spoken["texts"].items()} == {
        **{"en": 12, "de": 12, "und": 1}
    }
    assert sum(found.summary["languages"].values()) == found.num_bytes()
    assert found.summary["language_remarks"] == spoken["remarks"]
    assert "set data.languages: [en, de]" in spoken["remarks"][0]
    asked = run_ingest(source, languages=["en", "de"])
    assert asked.summary["language_remarks"] == []
    assert asked.account()["languages"]["asked_for"] == ["en", "de"]
