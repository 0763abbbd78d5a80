import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from declaration import ARTICLE_1
from sentences import sentences

from flows.home.folders import make_home
from flows.steps.ingest_documents import fingerprint, ingest_documents
from lmcore.config import RunConfig, parse_config
from lmcore.data.copies.removal import Removal, Removals, add_removals
from lmcore.data.ingest.split import LANGUAGE_MODEL, TASK


def removal(document: str, model: str | None = None) -> Removal:
    return Removal(
        document=document, sketch=None, reason="asked", who="ada", at="2026-03-01", model=model
    )


def test_a_fingerprint_is_of_the_bytes(
    small_config: Callable[..., RunConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "lines.txt"
    config = small_config(sources=[{"path": str(path), "format": "lines"}])
    path.write_text("one line\n" * 1000)
    first = fingerprint(config)
    assert (first.files, first.bytes) == (1, 9000)
    assert "sources: 1 file, 0.0 MB" in caplog.text
    path.touch()
    assert fingerprint(config).digest == first.digest
    path.write_text("one line\n" * 999)
    assert fingerprint(config).digest != first.digest


def test_the_same_sources_are_the_same_documents_on_the_same_sides(made: Any) -> None:
    run = made.run
    again = ingest_documents(run.config, run.sources, run.home)
    assert again.key == made.documents.key
    assert again.count() == 80
    assert again.count("train") + again.count("tune") + again.count("validation") == 80


def test_what_is_set_aside_is_told_with_its_reasons_and_where_each_is_named(
    small_config: Callable[..., RunConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.jsonl"
    rows = "".join(f'{{"text": "{line}"}}\n' for line in sentences(400))
    path.write_text(rows + "no json\nnor this\n" + '{"body": "x"}\n')
    config = small_config(sources=[{"path": str(path), "license": "CC0-1.0"}])
    documents = ingest_documents(config, fingerprint(config), make_home(tmp_path / "home"))
    assert documents.count() == 400
    (warning,) = [r.getMessage() for r in caplog.records if "set aside" in r.getMessage()]
    assert "set aside: not JSON (2); no key 'text'; found 'body' (1)" in warning
    assert warning.endswith("quarantine.jsonl")


def test_what_is_removed_is_kept_out_whoever_says_so(
    made: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config, sources = made.run.config, made.run.sources
    gone, kept = [document.id for document in made.documents.iter_documents()][:2]
    home = make_home(tmp_path / "home")
    # The list of the home counts where no other is given, and only what concerns this model.
    add_removals(home.removals, [removal(gone), removal(kept, model="tales")])
    documents = ingest_documents(config, sources, home)
    found = {document.id for document in documents.iter_documents()}
    assert (gone in found, kept in found, len(found)) == (False, True, 79)
    assert "1 text kept out because of 1 removal" in caplog.text
    given = ingest_documents(config, sources, home, Removals.of([removal(kept)]))
    assert {d.id for d in given.iter_documents()} == found ^ {gone, kept}


def test_it_is_noted_for_which_kind_of_model_documents_were_split(
    small_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    path, home = tmp_path / "rows.jsonl", make_home(tmp_path / "home")
    rows = [{"text": line, "label": "ab"[n % 2]} for n, line in enumerate(sentences(60))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"path": str(path), "license": "CC0-1.0"}
    tales = small_config(name="tales", sources=[source])
    mood = parse_config(
        {
            "name": "mood",
            "task": "sentiment",
            "sources": [{**source, "target_field": "label"}],
        },
        where="test",
    )
    for config in (tales, mood):
        ingest_documents(config, fingerprint(config), home)
    with closing(sqlite3.connect(home.splits)) as ledger:
        noted = ledger.execute("SELECT kind, model, count(*) FROM owner GROUP BY 1, 2").fetchall()
    assert noted == [(LANGUAGE_MODEL, "tales", 60), (TASK, "mood", 60)]


def test_a_mixture_of_languages_is_a_warning(
    small_config: Callable[..., RunConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "lines.txt"
    lines = [f"{n}. {ARTICLE_1[code]}\n" for n in range(20) for code in ("en", "ru")]
    path.write_text("".join(lines), encoding="utf-8")
    config = small_config(
        sources=[{"path": str(path), "format": "lines"}], data={"near_duplicates": False}
    )
    ingest_documents(config, fingerprint(config), make_home(tmp_path / "home"))
    assert "languages by bytes: ru 6" in caplog.text
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "texts are also in en" in warning
    assert "data.languages: [ru, en]" in warning
