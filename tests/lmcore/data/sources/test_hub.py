"""Data sets of the `datasets` library, read from a folder."""

import subprocess
import sys
import textwrap
from pathlib import Path


def run(code: str, root: Path, home: Path) -> str:
    """What code prints that reads data sets below a folder.

    In a process of its own: the library starts threads and leaves files to the collector.
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(root), str(home)],
        capture_output=True,
        text=True,
        check=False,
        env={
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "1",
            "HOME": str(root / "user"),
            "PYTHONPATH": str(Path(__file__).parents[4]),
            "PATH": "/usr/bin:/bin",
        },
    )
    assert done.returncode == 0, done.stderr
    assert not (root / "user").exists()
    return done.stdout


def test_a_hugging_face_data_set_is_read_from_a_folder(tmp_path: Path) -> None:
    code = """
        import json, sys
        from pathlib import Path
        import datasets
        from lmcore.data.config import DataConfig, SourceConfig
        from lmcore.data.sources.readers import read_source
        from lmcore.data.sources.located import fingerprint_sources
        from lmcore.errors import SourceError
        root = Path(sys.argv[1])
        rows = [{"text": f"text {i}", "label": i % 2} for i in range(5)]
        (root / "files").mkdir()
        (root / "files" / "train.jsonl").write_text("".join(json.dumps(r) + chr(10) for r in rows))
        datasets.Dataset.from_list(rows).save_to_disk(root / "saved")
        def read(**config):
            (source,) = fingerprint_sources([SourceConfig(target_field="label", **config)]).sources
            items = read_source(source, data=DataConfig())
            return [(r.text, r.target, r.position) for r in items]
        wanted = [(f"text {i}", str(i % 2), i + 1) for i in range(5)]
        assert read(dataset=str(root / "files")) == wanted
        assert read(dataset=str(root / "saved")) == wanted
        for bad, word in (
            (dict(dataset=str(root / "files"), dataset_split="test"), "'test'"),
            (dict(dataset=str(root / "files"), text_field="body"), "no column 'body'"),
            (dict(dataset="nobody/no-such-data-set"), "could not be loaded"),
        ):
            try:
                read(**bad)
            except SourceError as error:
                assert word in str(error) and chr(10) not in str(error), error
            else:
                raise AssertionError(bad)
        (root / "files" / "train_2.jsonl").write_text("no json")
        def pieces(**config):
            (source,) = fingerprint_sources([SourceConfig(**config)]).sources
            return list(read_source(source, data=DataConfig()))
        *rows, last = pieces(dataset=str(root / "files"))
        assert [row.text for row in rows] == [f"text {i}" for i in range(5)]
        assert (last.file, last.position) == ("files", 6)
        assert last.reason.startswith("damaged behind row 5: "), last
        print("done", sorted(p.name for p in Path(sys.argv[2]).iterdir()))
    """
    assert run(code, tmp_path, tmp_path / "hf").startswith("done ['datasets'")


READERS = """
    import sys
    from pathlib import Path
    import datasets
    from datasets import ClassLabel, Features, List, Value
    from lmcore.data.config import DataConfig, SourceConfig
    from lmcore.data.sources.readers import read_source
    from lmcore.data.sources.located import fingerprint_sources
    from lmcore.data.sources.records import BadInput, Opened
    from lmcore.errors import SourceError
    root = Path(sys.argv[1])
    def read(**config):
        (source,) = fingerprint_sources([SourceConfig(**config)]).sources
        items = read_source(source, data=DataConfig())
        return [item for item in items if not isinstance(item, Opened)]
    def pairs(**config):
        return [(r.text, r.target) for r in read(**config)]
    def refused(**config):
        try:
            read(**config)
        except SourceError as error:
            return str(error)
        raise AssertionError(config)
"""


def test_text_tables_of_a_data_set_are_read_as_by_path(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/train.csv").write_text(
        'text,label\nNone,007\nnull,NA\n"a, ""b""",1e3\nnan,True\nx,\n'
    )
    (tmp_path / "tables/test.csv").write_text("text,label\nt,0\n")
    # A card that says what stands between cells, and one that says more: there the library reads.
    for name, more in (("card", ""), ("more", "  skiprows: 1\n")):
        (tmp_path / name).mkdir()
        first = "Exported by hand\n" if more else ""
        (tmp_path / name / "mine.csv").write_text(f"{first}text^label\nNone^1\n")
        (tmp_path / name / "README.md").write_text(
            f"---\nconfigs:\n- config_name: default\n  sep: '^'\n{more}"
            "  data_files: [{split: train, path: mine.csv}]\n"
            "dataset_info:\n  features:\n  - {name: text, dtype: string}\n  - name: label\n"
            "    dtype: {class_label: {names: {'0': bad, '1': good}}}\n---\n"
        )
    # One that names only the classes.
    (tmp_path / "named").mkdir()
    (tmp_path / "named/train.csv").write_text("text,label\nNone,1\nb,bad\nc,7\n")
    (tmp_path / "named/README.md").write_text(
        "---\ndataset_info:\n  features:\n  - {name: text, dtype: string}\n  - name: label\n"
        "    dtype: {class_label: {names: {'0': bad, '1': good}}}\n---\n"
    )
    code = """
    tables = str(root / "tables")
    csv = pairs(dataset=tables, target_field="label")
    assert csv == pairs(path=tables + "/train.csv", target_field="label")
    assert csv == [("None", "007"), ("null", "NA"), ('a, "b"', "1e3"), ("nan", "True"), ("x", "")]
    assert pairs(dataset=tables, dataset_split="test") == [("t", None)]
    wrong = refused(dataset=tables, dataset_split="dev")
    assert "no split 'dev'; expected 'train', 'test'" in wrong, wrong
    for card in ("card", "more"):
        assert pairs(dataset=str(root / card), target_field="label") == [("None", "good")], card
    *named, last = read(dataset=str(root / "named"), target_field="label")
    assert [(r.text, r.target) for r in named] == [("None", "good"), ("b", "bad")]
    assert last.reason == "'label' is 7; the data set names classes 0 to 1", last
    print("done")
    """
    assert run(READERS + code, tmp_path, tmp_path / "hf") == "done\n"


def test_classes_of_a_saved_data_set_have_names_and_its_split_is_the_wanted_one(
    tmp_path: Path,
) -> None:
    code = """
    classes = ClassLabel(names=["bad", "good"])
    features = Features(text=Value("string"), y=classes, many=List(classes))
    made = datasets.Dataset.from_list(
        [
            {"text": "a", "y": 1, "many": [0, 1]},
            {"text": "b", "y": 0, "many": [1]},
            {"text": "c", "y": -1, "many": []},
            {"text": "d", "y": None, "many": []},
        ],
        features=features,
    )
    one, two, named = (str(root / name) for name in ("one", "two", "named"))
    made.save_to_disk(one)
    a, b, c, d = read(dataset=one, target_field="y")
    assert (a.target, b.target) == ("good", "bad")
    assert c.reason == "'y' is -1, which means that the class is not known"
    assert d.reason == "'y' is null, not a string"
    many = read(dataset=one, target_field="many", list_join="+")
    assert [r.target for r in many] == ["bad+good", "good", "", ""]

    # It is one by `path` too, unless files are asked for.
    assert read(path=one, target_field="y") == [a, b, c, d]
    assert all(isinstance(item, BadInput) for item in read(path=one, files="*.arrow"))

    datasets.DatasetDict(train=made, test=made.select([1])).save_to_disk(two)
    assert pairs(path=two, dataset_split="test", target_field="y") == [("b", "bad")]
    wrong = refused(path=two, dataset_split="dev")
    assert "no split 'dev'; expected 'train', 'test'" in wrong, wrong
    assert "leave dataset_split out" in refused(path=one, dataset_split="dev")
    datasets.Dataset.from_list([{"text": "t"}], split="test").save_to_disk(named)
    assert pairs(path=named, dataset_split="test") == [("t", None)]
    assert "no split 'train'; expected 'test'" in refused(path=named)
    print("done")
    """
    assert run(READERS + code, tmp_path, tmp_path / "hf") == "done\n"
