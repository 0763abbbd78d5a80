"""`lmcore init`: whatever a user's folder is called and holds, the config that it writes loads."""

import json
from pathlib import Path

import pytest

from flows.commands.init import write_config
from lmcore.config_file import load_config
from lmcore.errors import ConfigError, SourceError


def init(place: Path, out: Path, **options: object) -> dict[str, object]:
    values = {"license_": None, "name": None, "replace": False, **options}
    return write_config(place, out=out, **values)  # type: ignore[arg-type]


def test_a_folder_of_books(tmp_path: Path) -> None:
    books = tmp_path / "my books"
    books.mkdir()
    for name in ("a.txt", "b.txt"):
        (books / name).write_text("It is a truth universally acknowledged.")
    (books / "LICENSE.txt").write_text("all rights reserved")
    (books / "cover.png").write_bytes(b"\x89PNG\0")
    answer = init(books, tmp_path / "c.yaml")
    config = load_config(tmp_path / "c.yaml")
    assert config.name == "my-books"
    assert [s.path for s in config.sources] == [str(books)]
    assert config.sources[0].files == "*.txt"
    assert config.sources[0].license == "unknown"
    assert config.policy.unknown_license == "allow"
    assert answer["sources"][0]["num_files"] == 2  # type: ignore[index]
    assert any("LICENSE.txt may say" in line for line in answer["found"])  # type: ignore[attr-defined]
    assert any("cover.png" in line for line in answer["found"])  # type: ignore[attr-defined]


def test_a_stated_licence_keeps_the_policy_strict(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    init(tmp_path / "a.txt", tmp_path / "c.yaml", license_="CC0-1.0")
    config = load_config(tmp_path / "c.yaml")
    assert config.sources[0].license == "CC0-1.0"
    assert config.policy.unknown_license == "block"


def test_a_licence_is_spelled_as_spdx_does_or_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    init(tmp_path / "a.txt", tmp_path / "c.yaml", license_="gpl-2.0 or mit")
    assert load_config(tmp_path / "c.yaml").sources[0].license == "GPL-2.0-only OR MIT"
    with pytest.raises(ConfigError, match="--license: 'free to use' is not an SPDX licence"):
        init(tmp_path / "a.txt", tmp_path / "d.yaml", license_="free to use")
    assert not (tmp_path / "d.yaml").exists()


def test_a_saved_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    (folder / "dev").mkdir(parents=True)
    (folder / "dataset_dict.json").write_text('{"splits": ["dev"]}')
    features = {"id": {"dtype": "int64"}, "Review": {"dtype": "string"}}
    (folder / "dev/dataset_info.json").write_text(json.dumps({"features": features}))
    (folder / "dev/data-00000-of-00001.arrow").write_bytes(b"12345")
    answer = init(folder, tmp_path / "c.yaml")
    (source,) = load_config(tmp_path / "c.yaml").sources
    assert (source.path, source.files, source.format) == (str(folder), None, "auto")
    assert (source.text_field, source.dataset_split) == ("Review", "dev")
    (told,) = answer["sources"]  # type: ignore[misc]
    assert (told["num_files"], told["bytes"], told["columns"]) == (1, 5, ["id", "Review"])


@pytest.mark.parametrize(
    ("name", "content", "reader", "field"),
    [
        ("t.csv", "id,review\n1,good film\n2,bad film\n", "csv", "review"),
        ("t.tsv", 'source\tlabel\ttext\na\t1\tsay "hi\n', "tsv", "text"),
        (
            "t.jsonl",
            json.dumps({"id": "x", "abstract": "a longer text"}) + "\n",
            "jsonl",
            "abstract",
        ),
        ("t.md", "# Title\n", "text", None),
        ("noending", "plain words\n", "text", None),
    ],
)
def test_kinds_of_files(
    tmp_path: Path, name: str, content: str, reader: str, field: str | None
) -> None:
    (tmp_path / name).write_text(content)
    answer = init(tmp_path / name, tmp_path / "c.yaml")
    found = answer["sources"][0]  # type: ignore[index]
    assert (found["format"], found["text_field"]) == (reader, field)
    assert load_config(tmp_path / "c.yaml").sources[0].text_field == (field or "text")


@pytest.mark.parametrize("name", ["a: b", "x'\"#", "- [", "née", "tab\there", "&a *b"])
def test_hostile_names_still_give_a_config_that_loads(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "x.csv").write_text(f'"text\n#","{name}"\nsome words,1\n')
    init(folder, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml").sources[0].path == str(folder)


def test_nothing_is_overwritten_or_left_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    out = tmp_path / "c.yaml"
    out.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        init(tmp_path / "a.txt", out)
    with pytest.raises(ConfigError, match="name"):
        init(tmp_path / "a.txt", out, name="../x", replace=True)
    assert out.read_text() == "mine"
    with pytest.raises(ConfigError, match="name"):
        init(tmp_path / "a.txt", tmp_path / "new.yaml", name="../x")
    assert not (tmp_path / "new.yaml").exists()


def test_no_text_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        init(tmp_path / "missing", tmp_path / "c.yaml")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.bin").write_bytes(b"\0\1")
    with pytest.raises(SourceError, match="holds no text"):
        init(tmp_path / "d", tmp_path / "c.yaml")
    with pytest.raises(SourceError, match="not a kind of file"):
        init(tmp_path / "d" / "x.bin", tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("name", "reader", "files"),
    [
        ("a.txt.gz", "text", "*.txt.gz"),
        ("a.jsonl.zst", "jsonl", "*.jsonl.zst"),
        ("a.zip", "auto", "*.zip"),
        ("a.tar.gz", "auto", "*.tar.gz"),
        ("a.tgz", "auto", "*.tgz"),
    ],
)
def test_packed_files_are_named_by_their_whole_ending(
    tmp_path: Path, name: str, reader: str, files: str
) -> None:
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / name).write_bytes(b"whatever")
    answer = init(folder, tmp_path / "c.yaml")
    found = answer["sources"][0]  # type: ignore[index]
    assert (found["format"], found["files"]) == (reader, files)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"no parquet"),
        ("a.csv", b'text\n"' + b"x" * 200_000),
        ("a.jsonl", b"\xff\xfe"),
    ],
)
def test_broken_tables_do_not_stop_init(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    init(tmp_path / name, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml").sources[0].text_field == "text"
