"""Where sources are cut: by names, sizes and line ends, and by nothing else."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.ingest.parts import Part, cut
from lmcore.data.sources.located import fingerprint_sources


def parts(path: Path, part_bytes: int, **source: object) -> list[Part]:
    config = SourceConfig(path=str(path), **source)  # type: ignore[arg-type]
    located = fingerprint_sources([config]).sources
    return list(cut(located, data=DataConfig(), part_bytes=part_bytes))


def write(folder: Path, sizes: dict[str, int]) -> None:
    folder.mkdir(exist_ok=True)
    for name, size in sizes.items():
        (folder / name).write_text("x" * size)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.integers(100, 2000))
def test_every_file_is_in_one_part_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], part_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    write(folder, {f"{n:03}.txt": size for n, size in enumerate(sizes)})
    found = parts(folder, part_bytes)
    names = [[file.name for file in part.located.files] for part in found]
    assert [*itertools.chain(*names)] == sorted(f"{n:03}.txt" for n in range(len(sizes)))
    for part in found:
        assert len(part.located.files) == 1 or part.num_bytes <= 2 * part_bytes


def test_one_file_more_moves_the_borders_beside_it_alone(tmp_path: Path) -> None:
    write(tmp_path / "t", {f"{n:04}.txt": 100 for n in range(400)})
    before = [part.content for part in parts(tmp_path / "t", 2000)]
    write(tmp_path / "t", {"0200a.txt": 100})
    after = [part.content for part in parts(tmp_path / "t", 2000)]
    assert len(before) > 10
    assert sum(content not in before for content in after) <= 4


def jsonl(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def test_a_large_file_of_lines_is_cut_behind_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    jsonl(path, [f"text number {n} " * (n % 7) for n in range(200)])
    found = parts(path, 1000)
    content = path.read_bytes()
    stretches = [part.stretch for part in found]
    assert len(stretches) > 5
    last = 0
    for stretch in stretches:
        assert stretch is not None
        assert stretch.start == last
        assert content[stretch.stop - 1 : stretch.stop] == b"\n"
        last = stretch.stop
    assert last == len(content)


def test_what_is_appended_leaves_the_stretches_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    jsonl(path, [f"text number {n}" for n in range(300)])
    before = [part.content for part in parts(path, 1000)]
    with path.open("a") as lines:
        lines.write('{"text": "one more"}\n')
    after = [part.content for part in parts(path, 1000)]
    assert after[: len(before) - 1] == before[:-1]
    assert after[len(before) - 1] != before[-1]


def test_a_line_longer_than_a_part_and_an_end_without_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + b'{"text": "' + b"b" * 5000 + b'"}\n{"text": "c"}')
    stretches = [part.stretch for part in parts(path, 1000)]
    assert [(s.start, s.stop) for s in stretches if s] == [(0, 5027), (5027, 5040)]


@pytest.mark.parametrize(
    ("name", "content", "source"),
    [
        ("a.csv", b"text\n" + b"words\n" * 1000, {}),
        ("a.jsonl", '{"text": "ä"}\n'.encode("utf-16") * 500, {}),
        ("a.jsonl", '{"text": "ä"}\n'.encode("latin-1") * 500, {"encoding": "latin-1"}),
        ("a.jsonl", b'{"text": "short"}\n', {}),
    ],
)
def test_what_cannot_be_read_from_its_middle_is_one_part(
    tmp_path: Path, name: str, content: bytes, source: dict[str, str]
) -> None:
    (tmp_path / name).write_bytes(content)
    (part,) = parts(tmp_path / name, 1000, **source)
    assert part.stretch is None
