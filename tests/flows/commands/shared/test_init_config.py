"""What is written: a configuration of the right size, with every guess said."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.commands.shared.init_config import Proposal, comment_safe, render
from lmcore.data.config import SourceConfig
from lmcore.data.sources.survey import Finding
from lmcore.tasks.task import TASKS


def written(tmp_path: Path, **changes: Any) -> str:
    facts: dict[str, Any] = {
        "config": SourceConfig(path=str(tmp_path / "texts"), files="*.csv", text_field="body"),
        "format": "csv",
        "num_files": 1,
        "num_bytes": 1000,
        "columns": ("id", "body"),
        "guesses": ("a guess\nof mine",),
    }
    finding = Finding(**{**facts, **changes.pop("finding", {})})
    told: dict[str, Any] = {
        "task": "language_modelling",
        "model": "m",
        "license": None,
        "origin": "o",
    }
    proposal = Proposal(findings=[finding], **{**told, **changes})
    return render(proposal, target=tmp_path / "c.yaml")


def test_a_source_is_written_with_all_that_was_told(tmp_path: Path) -> None:
    text = written(tmp_path)
    values = yaml.safe_load(text)
    assert values["sources"] == [
        {
            "path": "texts",
            "files": "*.csv",
            "text_field": "body",
            "license": "unknown",
            "origin": "o",
        }
    ]
    assert values["policy"] == {"unknown_license": "allow"}
    assert "# other columns: id" in text
    assert "# a guess?of mine" in text
    away = SourceConfig(path="/elsewhere/t.csv", encoding="cp1252", delimiter=";", records="a.b")
    (source,) = yaml.safe_load(written(tmp_path, finding={"config": away}))["sources"]
    assert source["path"] == "/elsewhere/t.csv"
    assert (source["encoding"], source["delimiter"], source["records"]) == ("cp1252", ";", "a.b")


@pytest.mark.parametrize(
    ("num_bytes", "expected", "night"),
    [
        (1_000, {"model": {"pattern": "LA", "d_model": 128}}, "0 3 * * *"),
        (5_000_000, {"preset": "cpu-minutes"}, "0 3 * * *"),
        (500_000_000, {"preset": "cpu-hour"}, "0 3 * * 1"),
    ],
)
def test_size_decides_what_is_proposed(
    tmp_path: Path, num_bytes: int, expected: dict[str, Any], night: str
) -> None:
    text = written(tmp_path, finding={"num_bytes": num_bytes})
    values = yaml.safe_load(text)
    assert values.items() >= expected.items()
    assert f'# schedule: {{cron: "{night}"' in text


@pytest.mark.parametrize("task", ["sentiment", "translation", "summarization"])
def test_a_task_has_its_own_sections_and_keeps_its_target(tmp_path: Path, task: str) -> None:
    config = SourceConfig(path=str(tmp_path), text_field="body", target_field="label")
    values = yaml.safe_load(written(tmp_path, task=task, finding={"config": config}))
    assert (values["task"], values["base"]) == (task, None)
    assert values["fine_tuning"]
    assert values["sources"][0]["target_field"] == "label"
    values = yaml.safe_load(written(tmp_path, finding={"config": config}))
    assert "target_field" not in values["sources"][0]


def test_a_remark_cannot_end_its_line() -> None:
    assert comment_safe("a\nb\u2028c") == "a?b?c"


@pytest.mark.parametrize("pretrained", [None, "owner/name@0123"])
@pytest.mark.parametrize("task", list(TASKS))
@pytest.mark.parametrize("num_bytes", [1_000, 5_000_000, 500_000_000])
def test_every_key_that_is_written_has_a_remark(
    tmp_path: Path, num_bytes: int, task: str, pretrained: str | None
) -> None:
    source = {
        **{"path": str(tmp_path / "t #1.csv"), "files": "*.csv", "dataset_split": "test"},
        **{"encoding": "cp1252", "delimiter": ";", "columns": ["id", "body", "label"]},
        **{"records": "rows", "text_field": "body", "target_field": "label"},
    }
    for license_ in (None, "MIT"):
        finding = {"config": SourceConfig(**source), "num_bytes": num_bytes}
        facts = {"task": task, "pretrained": pretrained, "license": license_}
        text = written(tmp_path, finding=finding, **facts)
        without = [
            line
            for line in text.splitlines()
            if not line.lstrip().startswith("#") and not re.search(r"[^#] # \w", line)
        ]
        assert without == []
        (said,) = yaml.safe_load(text)["sources"]
        kept = {**source, "path": "t #1.csv"}
        if task == "language_modelling":
            del kept["target_field"]
        assert said.items() >= kept.items()
