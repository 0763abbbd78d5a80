"""Configurations to copy: each is valid, and reads all of the files that it names."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from jsonschema import Draft202012Validator
from sentences import sentences

from lmcore.config import RunConfig
from lmcore.config_file import load_config
from lmcore.config_schema import config_schema
from lmcore.data.config import SourceConfig
from lmcore.data.ingest.preview import preview
from lmcore.data.text.licences import normal_license

ROOT = Path(__file__).parents[2]
TASKS = ("sentiment", "summarization", "translation")
PATHS = [
    *sorted((ROOT / "examples").glob("*.yaml")),
    *(ROOT / "configs" / f"{task}.yaml" for task in TASKS),
]
TEXTS = sentences(160, words=60)
LABELS = ("good", "bad")


def rows(source: SourceConfig, texts: list[str]) -> Iterator[dict[str, Any]]:
    """Records as the source wants them, nested where its columns are paths."""
    for number, text in enumerate(texts):
        row: dict[str, Any] = {"id": number}
        values = {
            source.text_field: text,
            source.date_field: f"2025-03-{number % 28 + 1:02}",
            source.target_field: LABELS[number % 2] if source.list_join is None else text[:40],
        }
        for path, value in values.items():
            *outer, last = (path or "").split(".")
            inside = row
            for part in outer:
                inside = inside.setdefault(part, {})
            if last:
                inside[last] = value
        yield row


def put(source: SourceConfig, texts: list[str]) -> int:
    """Write the files that a source names; how many documents they hold."""
    assert source.path is not None
    path = Path(source.path.replace("*", "part"))
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.target_path is not None:
        for one, lines in ((path, texts), (Path(source.target_path), TEXTS[: len(texts)])):
            one.write_text("".join(f"{line}\n" for line in lines))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as stream:
            table = csv.DictWriter(stream, list(next(rows(source, texts))))
            table.writeheader()
            table.writerows(rows(source, texts))
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows(source, texts)))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows(source, texts))), path)
    else:
        path.mkdir()
        for number, text in enumerate(texts):
            (path / f"2025-03-{number % 28 + 1:02}-{number}.txt").write_text(text)
    return len(texts)


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def copied(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, RunConfig]:
    text = request.param.read_text("utf-8")
    (tmp_path / "own.yaml").write_text(text, "utf-8")
    return text, load_config(tmp_path / "own.yaml")


def test_an_example_reads_the_files_that_it_names(
    copied: tuple[str, RunConfig], tmp_path: Path
) -> None:
    text, config = copied
    plain = json.loads(json.dumps(yaml.safe_load(text), default=str))
    assert list(Draft202012Validator(config_schema()).iter_errors(plain)) == []
    assert "# <-" in text
    for source in config.sources:
        normal_license(source.license, key="license")
    files = [source for source in config.sources if source.requests is None]
    share = len(TEXTS) // len(files)
    written = sum(put(s, TEXTS[i * share : (i + 1) * share]) for i, s in enumerate(files))
    assert all(tmp_path in Path(source.path or "").parents for source in files)
    seen = preview(files, data=config.data)
    assert (seen.documents, seen.set_aside, seen.stops) == (written, [], [])


def test_there_is_one_for_each_use() -> None:
    configs = {path.stem: load_config(path) for path in PATHS}
    assert {config.task for config in configs.values()} == {"language_modelling", *TASKS}
    assert any(source.requests for source in configs["feedback"].sources)
    assert configs["feedback"].serve.records
    assert configs["posts"].training.start == "champion"
    assert configs["pretrained"].gates.evaluation.budget_seconds == 1200
    assert configs["gpu"].training.processes > 1
    assert not configs["server-tier"].promote
