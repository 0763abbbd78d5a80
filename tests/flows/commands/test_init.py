"""`lmcore init`: the config that it writes loads, and a run reads what was announced, no more."""

# ruff: noqa: E501 (one line a file reads best)

import csv
import gzip
import io
import itertools
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import office_files as office
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentences import sentences

from flows.commands import init as module
from flows.commands.init import write_config
from lmcore.config import RunConfig
from lmcore.config_file import load_config
from lmcore.content_store import ContentStore
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.sources.choices import Wishes
from lmcore.errors import ConfigError, SourceError
from lmcore.model.config import PretrainedConfig

LINES = sentences(60, words=80)


def init(place: Path, out: Path, **wishes: Any) -> dict[str, Any]:
    options = {"license_": None, "name": None, "replace": False, "pretrained": None}
    options |= {key: wishes.pop(key) for key in tuple(wishes) if key in options}
    return write_config(place, out=out, wishes=Wishes(**wishes), **options)  # type: ignore[arg-type]


def table(rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue()


def labelled(number: int = 40) -> list[tuple[str, int]]:
    return [(line, i % 2) for i, line in enumerate(LINES[:number])]


def read(config: RunConfig, folder: Path) -> Any:
    return ingest(
        ContentStore(folder / "store"),
        sources=config.sources,
        data=config.data,
        policy=config.policy,
        ledger=SplitLedger(folder / "split.sqlite"),
    )


def test_a_folder_of_books(tmp_path: Path) -> None:
    books = tmp_path / "my books"
    books.mkdir()
    for name, half in (("a.txt", LINES[:30]), ("b.txt", LINES[30:])):
        (books / name).write_text("\n\n".join(half))
    (books / "LICENSE.txt").write_text("all rights reserved")
    (books / "cover.png").write_bytes(b"\x89PNG\0")
    (books / "Copying Beethoven.txt").write_text("\n\n".join(sentences(20, words=90)))
    answer = init(books, tmp_path / "c.yaml")
    config = load_config(tmp_path / "c.yaml")
    assert (config.name, config.task) == ("my-books", "language_modelling")
    (source,) = config.sources
    assert (source.path, source.files, source.license) == (str(books), "*.txt", "unknown")
    assert config.policy.unknown_license == "allow"
    assert answer["sources"][0]["num_files"] == 3
    assert answer["left_out"] == [
        {"file": "LICENSE.txt", "reason": "about the data"},
        {"file": "cover.png", "reason": "no text"},
    ]
    assert any("LICENSE.txt may say" in line for line in answer["found"])
    assert list(answer["languages"])[:1] == ["en"]
    assert any("encodings of the files: utf-8 3" in line for line in answer["found"])
    found = read(config, tmp_path)
    assert found.summary["documents"] == answer["documents"]
    assert {entry["name"] for entry in found.sources()[0]["files"]} == {
        "a.txt",
        "b.txt",
        "Copying Beethoven.txt",
    }


@pytest.mark.parametrize(("task", "rate"), [("language_modelling", 0.001), ("sentiment", 0.0003)])
def test_a_model_to_start_from_is_named_and_learns_as_one_that_exists(
    tmp_path: Path, task: str, rate: float
) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "rows.csv").write_text(
        table([("text", "label"), *labelled()]), encoding="utf-8"
    )
    model = tmp_path / "small model"
    model.mkdir()
    out = tmp_path / "my.yaml"
    for place, read_as in ((str(model), str(model)), ("package:llm_small", "package:llm_small")):
        init(tmp_path / "texts", out, pretrained=place, task=task, replace=True)
        config = load_config(out)
        assert isinstance(config.model, PretrainedConfig)
        assert config.model.pretrained == read_as
        assert (config.model.adapt, config.model.license) == ("lora", "unknown")
        assert config.training.sequence_length <= config.model.context
        assert config.training.learning_rate == rate
        assert config.task == task
    assert "known_until" in out.read_text(encoding="utf-8")
    assert str(tmp_path) not in out.read_text(encoding="utf-8").replace("package", "")


def test_a_stated_licence_keeps_the_policy_strict(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(LINES))
    init(tmp_path / "a.txt", tmp_path / "c.yaml", license_="CC0-1.0")
    config = load_config(tmp_path / "c.yaml")
    assert config.sources[0].license == "CC0-1.0"
    assert config.policy.unknown_license == "block"


def test_a_licence_is_spelled_as_spdx_does_or_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(LINES))
    init(tmp_path / "a.txt", tmp_path / "c.yaml", license_="gpl-2.0 or mit")
    assert load_config(tmp_path / "c.yaml").sources[0].license == "GPL-2.0-only OR MIT"
    with pytest.raises(ConfigError, match="--license: 'free to use' is not an SPDX licence"):
        init(tmp_path / "a.txt", tmp_path / "d.yaml", license_="free to use")
    assert not (tmp_path / "d.yaml").exists()


def test_a_saved_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "reviews"
    (folder / "dev").mkdir(parents=True)
    (folder / "dataset_dict.json").write_text('{"splits": ["dev"]}')
    features = {"id": {"dtype": "int64"}, "Review": {"dtype": "string"}}
    (folder / "dev/dataset_info.json").write_text(json.dumps({"features": features}))
    (folder / "dev/data-00000-of-00001.arrow").write_bytes(b"12345")
    monkeypatch.setattr(module, "LOOK_BYTES", 0)
    answer = init(folder, tmp_path / "c.yaml")
    (source,) = load_config(tmp_path / "c.yaml").sources
    assert (source.path, source.files, source.format) == (str(folder), None, "auto")
    assert (source.text_field, source.dataset_split) == ("Review", "dev")
    (told,) = answer["sources"]
    assert (told["num_files"], told["bytes"], told["columns"]) == (1, 5, ["id", "Review"])
    assert "not read to the end; lmcore run --dry-run does that" in answer["found"]


ROWS = labelled()
OBJECTS = [{"id": i, "body": line} for i, (line, _) in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", table([("id", "review"), *((i, t) for i, (t, _) in enumerate(ROWS))]), {"text_field": "review"}),
        ("t.csv", table([("text", "label"), *ROWS], ";"), {"delimiter": ";", "task": "sentiment", "target_field": "label"}),
        ("t.csv", "\ufeff" + table([("text", "n"), *ROWS]), {"text_field": "text"}),
        ("t.csv", table([("text", "n"), *ROWS]).encode("utf-16"), {"text_field": "text"}),
        ("t.csv", table([("tëxt", "größe", "für"), *((t, "schön", 1) for t, _ in ROWS)]).encode("cp1252"), {"encoding": "cp1252", "text_field": "tëxt"}),
        ("t.csv.gz", gzip.compress(table([("story", "n"), *ROWS]).encode()), {"text_field": "story"}),
        ("t.tsv", "\n".join(f"{t}\t{n}" for t, n in ROWS), {"columns": ["column1", "column2"], "text_field": "column1"}),
        ("t.tsv", "1\t" + "\n2\t".join(t for t, _ in ROWS), {"columns": ["column1", "column2"], "text_field": "column2"}),
        ("t.jsonl", office.json_lines(*OBJECTS), {"text_field": "body"}),
        ("t.jsonl.gz", gzip.compress(office.json_lines(*OBJECTS).encode()), {"text_field": "body"}),
        ("t.jsonl", office.json_lines(*({"text": f"{t}\u2028end"} for t, _ in ROWS)), {"text_field": "text"}),
        ("t.jsonl", office.json_lines(*({"data": {"article": {"body": t}}} for t, _ in ROWS)), {"text_field": "data.article.body"}),
        ("t.jsonl", office.json_lines(*({"messages": [{"role": "user", "content": t}]} for t, _ in ROWS)), {"text_field": "messages[].content"}),
        ("t.json", json.dumps(OBJECTS), {"text_field": "body"}),
        ("t.json", json.dumps({"data": {"rows": OBJECTS}}), {"records": "data.rows", "text_field": "body"}),
        ("t.jsonl", office.json_lines(*({"translation": {"de": t, "en": u}} for (t, _), (u, _) in itertools.pairwise(ROWS))), {"task": "translation", "text_field": "translation.de", "target_field": "translation.en"}),
        ("t.jsonl", office.json_lines(*({"article": t, "summary": t[:40]} for t, _ in ROWS)), {"task": "summarization", "text_field": "article", "target_field": "summary"}),
        ("noending", "\n\n".join(LINES), {"text_field": "text"}),
        ("t.md", "\n\n".join(LINES), {"text_field": "text"}),
        ("t.html", office.html_page(LINES), {"text_field": "text"}),
        ("t.txt", "\n\n".join(LINES).replace("e", "é").encode("cp1252"), {"encoding": "cp1252"}),
    ],
)  # fmt: skip
def test_what_is_found_is_written_and_read(
    tmp_path: Path, name: str, content: str | bytes, expected: dict[str, Any]
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    answer = init(path, tmp_path / "c.yaml")
    config = load_config(tmp_path / "c.yaml")
    (source,) = config.sources
    found = {key: getattr(source, key) for key in expected if key != "task"}
    assert found == {key: value for key, value in expected.items() if key != "task"}
    assert config.task == answer["task"] == expected.get("task", "language_modelling")
    made = read(config, tmp_path)
    assert made.summary["documents"] == answer["documents"] > 3
    assert made.summary["quarantined"] == 0


def test_columns_that_cannot_be_told_are_asked_for_named_or_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [(line, f"{line[::-1]} x") for line in LINES]
    path.write_text(table([("left", "right"), *rows]))
    answer = init(path, tmp_path / "said.yaml")
    assert any("--text-field names another ('left')" in line for line in answer["found"])
    asked: list[tuple[str, Sequence[str], str]] = []

    def ask(question: str, choices: Sequence[str], usual: str) -> str:
        asked.append((question, choices, usual))
        return "left"

    init(path, tmp_path / "asked.yaml", ask=ask)
    assert asked == [("t.csv: which column is the text?", ["right", "left"], "right")]
    assert load_config(tmp_path / "asked.yaml").sources[0].text_field == "left"
    init(path, tmp_path / "named.yaml", text_field="left")
    assert load_config(tmp_path / "named.yaml").sources[0].text_field == "left"
    with pytest.raises(SourceError, match="has no column 'middle'"):
        init(path, tmp_path / "wrong.yaml", text_field="middle")
    assert not (tmp_path / "wrong.yaml").exists()


def test_a_first_row_that_somebody_calls_a_header_is_one(tmp_path: Path) -> None:
    rows = [("Some words. And more", "17"), *((line, i) for i, line in enumerate(LINES))]
    (tmp_path / "t.csv").write_text(table(rows))
    init(
        tmp_path / "t.csv",
        tmp_path / "c.yaml",
        ask=lambda q, c, usual: "yes" if "row" in q else usual,
    )
    (source,) = load_config(tmp_path / "c.yaml").sources
    assert (source.columns, source.text_field) == (None, "Some words. And more")


def test_labels_that_come_in_order_are_seen(tmp_path: Path) -> None:
    rows = [(line, int(i >= 300)) for i, line in enumerate(sentences(600))]
    (tmp_path / "t.csv").write_text(table([("text", "label"), *rows]))
    assert init(tmp_path / "t.csv", tmp_path / "c.yaml")["task"] == "sentiment"


def test_a_label_makes_a_task_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table([("text", "label"), *labelled()]))
    init(path, tmp_path / "no.yaml", task="language_modelling")
    config = load_config(tmp_path / "no.yaml")
    assert (config.task, config.sources[0].target_field) == ("language_modelling", None)
    init(path, tmp_path / "yes.yaml", ask=lambda question, choices, usual: usual)
    assert load_config(tmp_path / "yes.yaml").task == "sentiment"
    path.write_text(table([("text", "n"), *((t, i) for i, (t, _) in enumerate(ROWS))]))
    with pytest.raises(SourceError, match="task translation needs a second column"):
        init(path, tmp_path / "pair.yaml", task="translation")


@pytest.mark.parametrize("name", ["a: b", "x'\"#", "- [", "née", "tab\there", "&a *b"])
def test_hostile_names_still_give_a_config_that_loads(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "x.csv").write_text(table([("text\n#", name), *((t, "w") for t in LINES)]))
    init(folder, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml").sources[0].path == str(folder)


def test_nothing_is_overwritten_or_left_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(LINES))
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


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.bin2", b"\0\1", "binary"),
        ("x.txt", b"", "empty file"),
        ("x.csv", b"n,m\n1,2\n3,4\n", "which column holds the text cannot be told; found 'n', 'm'"),
        ("x.jsonl", b"no json\n", "not JSON"),
        ("x.parquet", b"no parquet", "not Parquet"),
        ("x.txt", b"one line.", "too little text to split"),
        ("x.csv", b"t\xebxt,n\nsome words,1\n", "no encoding seems likely"),
        ("x.doc", b"\xd0\xcf", "save it as .docx"),
        ("x.zip", b"whatever", "damaged"),
        ("x.txt.gz", b"whatever", "damaged"),
    ],
)
def test_what_a_run_would_refuse_is_refused_at_once(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / name).write_bytes(content)
    for place in (tmp_path / "d", tmp_path / "d" / name):
        with pytest.raises(SourceError) as caught:
            init(place, tmp_path / "c.yaml")
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "c.yaml").exists()


def test_a_place_without_anything_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        init(tmp_path / "missing", tmp_path / "c.yaml")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "picture.png").write_bytes(b"x")
    (tmp_path / "d" / "README.md").write_text("About nothing.")
    with pytest.raises(SourceError) as caught:
        init(tmp_path / "d", tmp_path / "c.yaml")
    assert str(caught.value) == (
        f"{tmp_path / 'd'}: the folder {tmp_path / 'd'} holds no file to read (README.md is left"
        " out: about the data, and 1 more); add text to it"
    )


def test_archives_are_looked_into(tmp_path: Path) -> None:
    body = table([("review", "n"), *labelled()]).encode()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("README.md", "about")
        archive.writestr("in/t.csv", body)
    answer = init(tmp_path / "a.zip", tmp_path / "c.yaml")
    config = load_config(tmp_path / "c.yaml")
    assert config.sources[0].text_field == "review"
    assert read(config, tmp_path).summary["documents"] == answer["documents"] == 40
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("t.csv")
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    init(tmp_path / "b.tar.gz", tmp_path / "d.yaml")
    assert load_config(tmp_path / "d.yaml").sources[0].text_field == "review"


def test_at_a_terminal_questions_are_asked_and_elsewhere_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert module._somebody() is None
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(module.sys, stream), "isatty", lambda: True, raising=False)
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        module.click, "prompt", lambda question, **known: asked.update(q=question, **known) or "b"
    )
    ask = module._somebody()
    assert ask is not None
    assert ask("which\x1b[0m?", ["a", "b"], "a") == "b"
    assert (asked["q"], asked["default"], asked["err"]) == ("which[0m?", "a", True)
    with click.Context(click.Command("init")) as context:
        context.params["as_json"] = True
        assert module._somebody() is None


Maker = Callable[[list[str]], tuple[str, bytes]]
MAKERS: list[Maker] = [
    lambda texts: (".txt", "\n\n".join(texts).encode()),
    lambda texts: (".md", "\n\n".join(texts).encode()),
    lambda texts: ("", "\n\n".join(texts).encode()),
    lambda texts: (".TXT", "\n\n".join(texts).encode("utf-16")),
    lambda texts: (".log", "\n".join(texts).replace("e", "è").encode("cp1252")),
    lambda texts: (".csv", table([("text", "n"), *((t, 1) for t in texts)]).encode()),
    lambda texts: (".csv", table([("n", "body"), *((1, t) for t in texts)], ";").encode()),
    lambda texts: (".tsv", "".join(f"{t}\t{len(t)}\n" for t in texts).encode()),
    lambda texts: (".jsonl", office.json_lines(*({"a": {"b": t}} for t in texts)).encode()),
    lambda texts: (".json", json.dumps([{"text": t} for t in texts]).encode()),
    lambda texts: (".txt.gz", gzip.compress("\n\n".join(texts).encode())),
    lambda texts: (".jsonl.zst", zstandard.compress(office.json_lines(*({"text": t} for t in texts)).encode())),
    lambda texts: (".html", office.html_page(texts).encode()),
    lambda texts: (".docx", office.docx(texts)),
    lambda texts: (".eml", office.mail("\n\n".join(texts))),
]  # fmt: skip


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    kinds=st.lists(st.sampled_from(range(len(MAKERS))), min_size=1, max_size=5),
    nested=st.booleans(),
    extra=st.sets(st.sampled_from(["LICENSE", ".hidden.txt", "a.png", ".git/config.txt"])),
)
def test_a_run_reads_exactly_the_files_and_records_that_were_announced(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[int], nested: bool, extra: set[str]
) -> None:
    root = tmp_path_factory.mktemp("init")
    folder = root / "texts"
    (folder / ".git").mkdir(parents=True)
    (folder / "sub").mkdir()
    rest = sentences(12 * len(kinds), words=60)
    names = set()
    for number, kind in enumerate(kinds):
        ending, content = MAKERS[kind](rest[12 * number : 12 * number + 12])
        name = f"{'sub/' if nested and number % 2 else ''}f{number}{ending}"
        (folder / name).write_bytes(content)
        names.add(name)
    for name in extra:
        (folder / name).write_text("not for learning")
    # One mail alone is one document, and too little.
    (folder / "more.rst").write_text("\n\n".join(sentences(40, words=70)))
    names.add("more.rst")
    answer = init(folder, root / "c.yaml")
    config = load_config(root / "c.yaml")
    found = read(config, root)
    read_files = [
        str(
            (Path(source.path or "") / entry["name"])
            if Path(source.path or "").is_dir()
            else source.path
        )
        for source, told in zip(config.sources, found.sources(), strict=True)
        for entry in told["files"]
    ]
    assert sorted(read_files) == sorted(str(folder / name) for name in names)
    assert sum(source["num_files"] for source in answer["sources"]) == len(names)
    assert answer["unread"] == []
    assert found.summary["documents"] == answer["documents"]
    assert found.summary["quarantined"] == 0
