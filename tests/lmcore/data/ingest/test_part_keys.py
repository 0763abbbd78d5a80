"""The list of parts beside a set of documents."""

from pathlib import Path

from lmcore.data.ingest.part_keys import part_keys, write_part_keys


def test_keys_come_back(tmp_path: Path) -> None:
    write_part_keys(tmp_path, ["a" * 64, "b" * 64])
    assert part_keys(tmp_path) == ["a" * 64, "b" * 64]


def test_a_set_without_kept_parts_names_none(tmp_path: Path) -> None:
    assert part_keys(tmp_path) == []
    (tmp_path / "parts.json").write_text("{")
    assert part_keys(tmp_path) == []
