"""Data sets of the `datasets` library, read from a folder."""

import subprocess
import sys
import textwrap
from pathlib import Path


def test_a_hugging_face_data_set_is_read_from_a_folder(tmp_path: Path) -> None:
    # In a process of its own: the library starts threads and leaves files to the collector.
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
    home = tmp_path / "hf"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), str(home)],
        capture_output=True,
        text=True,
        check=False,
        env={
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "1",
            "HOME": str(tmp_path / "user"),
            "PYTHONPATH": str(Path(__file__).parents[4]),
            "PATH": "/usr/bin:/bin",
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done ['datasets'")
    assert not (tmp_path / "user").exists()
