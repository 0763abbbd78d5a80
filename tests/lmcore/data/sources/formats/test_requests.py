"""Feedback as a source of documents."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.requests.lines import Asked, Feedback
from lmcore.data.requests.parts import FEEDBACK, PartWriter, parts
from lmcore.data.sources.located import fingerprint_sources, glance_at_sources
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import BadInput, Record
from lmcore.errors import SourceError

SOURCE = SourceConfig(
    requests="speeches", license="LicenseRef-users", consent="the terms of the shop, section 4"
)


def said(task: str, text: str, output: str | None, **changes: Any) -> Feedback:
    values: dict[str, Any] = {"rating": None, "accepted": None, **changes}
    return Feedback(
        id="a",
        index=0,
        at="2026-11-28T10:00:00+00:00",
        client="shop",
        version=1,
        task=task,
        text=text,
        output=output,
        **values,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMCORE_HOME", str(tmp_path))
    return tmp_path / "requests" / "speeches" / FEEDBACK


def records(source: SourceConfig = SOURCE) -> list[Any]:
    (located,) = fingerprint_sources([source]).sources
    found = read_source(located, data=DataConfig())
    return [item for item in found if isinstance(item, Record | BadInput)]


def test_nothing_was_said_yet(folder: Path) -> None:
    assert records() == []


def test_an_accepted_answer_is_a_document(folder: Path) -> None:
    writer = PartWriter(folder)
    for line in (
        said("language_modelling", "Fellow", " citizens", rating="up", accepted=" citizens"),
        said("language_modelling", "Fellow", " xx", rating="down"),
        said("sentiment", "not bad", "negative", accepted="positive"),
    ):
        writer.add(line)
    writer.add(
        Asked(id="b", index=0, at="t", client="c", version=1, task="sentiment", text="asked only")
    )
    writer.seal()
    first, second = records()
    assert (first.text, first.target, first.date) == ("Fellow citizens", None, "2026-11-28")
    assert (second.text, second.target) == ("not bad", "positive")


def test_it_counts_for_the_fingerprint_and_wakes_nobody(folder: Path) -> None:
    before, glance = fingerprint_sources([SOURCE]).digest, glance_at_sources([SOURCE])
    writer = PartWriter(folder)
    writer.add(said("sentiment", "fine", None, accepted="positive"))
    writer.seal()
    assert fingerprint_sources([SOURCE]).digest != before
    assert glance_at_sources([SOURCE]) == glance


def test_a_damaged_part_and_a_strange_line_are_set_aside(folder: Path) -> None:
    writer = PartWriter(folder)
    writer.add(said("sentiment", "fine", None, accepted="positive"))
    sealed = writer.seal()
    assert sealed is not None
    sealed.write_bytes(sealed.read_bytes().replace(b"fine", b"mine"))
    (bad,) = records()
    assert "damaged: it does not hold what its name says" in bad.reason


def test_consent_is_said_and_shown() -> None:
    assert SOURCE.told_origin.endswith("consent: the terms of the shop, section 4")
    assert SOURCE.place == "requests of speeches"
    for wrong in (
        {"requests": "speeches"},
        {"requests": "speeches", "consent": " "},
        {"path": "texts", "consent": "yes"},
    ):
        with pytest.raises(ValidationError, match="requests needs consent, and consent needs"):
            SourceConfig.model_validate(wrong)
    for name in ("../x", "", "a/b"):
        with pytest.raises(ValidationError):
            SourceConfig.model_validate({"requests": name, "consent": "yes"})


def test_without_a_home_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LMCORE_HOME", raising=False)
    with pytest.raises(SourceError, match="LMCORE_HOME, which is not set"):
        fingerprint_sources([SOURCE])


def test_parts_of_others_are_not_read(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "notes.jsonl").write_text("{}")
    assert parts(folder) == []
    assert records() == []
