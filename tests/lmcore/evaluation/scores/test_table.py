import math
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError, IntegrityError
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.measured import AlignmentError
from lmcore.evaluation.statistics.resampling import Resampling


@pytest.fixture
def table(document):
    texts = ["one", "twó words", "three of them"]
    return ScoreTable.of(
        [document(t, anchor=i == 1, source=i) for i, t in enumerate(texts)],
        num_tokens=[2, 4, 5],
        nll_nats=np.array([3, 10, 13]) * math.log(2),
    )


def test_bits_per_byte_by_hand(table):
    # 26 bits over 3 + 10 + 13 bytes.
    assert table.total_bits_per_byte() == pytest.approx(1.0)
    interval = table.bits_per_byte()
    assert interval.value == pytest.approx(1.0)
    assert interval.n == 3
    assert table.nats_per_token().value == pytest.approx(26 * math.log(2) / 11)


def test_a_model_against_itself_differs_by_exactly_zero(table):
    shuffled = table.select([True] * 3)
    interval = table.paired_difference(shuffled)
    assert (interval.value, interval.lower, interval.upper) == (0, 0, 0)


def test_alignment_is_by_id(table, document):
    texts = ["three of them", "one", "twó words"]
    other = ScoreTable.of(
        [document(t) for t in texts], num_tokens=[1, 1, 1], nll_nats=[13.0, 3.0, 10.0]
    )
    assert table.aligned(other).nll_nats.tolist() == [3, 10, 13]
    difference = table.paired_difference(other).value
    assert difference == pytest.approx(1 - 1 / math.log(2))


def test_missing_extra_changed_and_repeated_documents_are_named(table, document):
    part = table.select([True, False, True])
    with pytest.raises(AlignmentError, match="1 of 3 documents"):
        table.aligned(part)
    with pytest.raises(AlignmentError, match="1 document more"):
        part.aligned(table)
    changed = ScoreTable.joined([part, table.select([False, True, False])])
    changed.num_bytes[0] = 99
    with pytest.raises(AlignmentError, match="99 in the other; the evaluation set changed"):
        table.aligned(changed)
    with pytest.raises(AlignmentError, match="twice"):
        ScoreTable.joined([table, part])


def test_empty_and_not_finite_scores_raise(table):
    nothing = table.select([False] * 3)
    for broken in (nothing, ScoreTable.joined([])):
        assert len(broken) == 0
        with pytest.raises(EmptyEvaluationError):
            broken.total_bits_per_byte()
        with pytest.raises(EmptyEvaluationError):
            broken.bits_per_byte()
    table.nll_nats[1] = math.nan
    for call in (table.total_bits_per_byte, table.bits_per_byte, table.nats_per_token):
        with pytest.raises(EmptyEvaluationError):
            call()


def test_parquet_gives_everything_back(table, tmp_path):
    table.nll_nats[0] = 0.1 + 0.2
    table.to_parquet(tmp_path / "scores.parquet")
    back = ScoreTable.from_parquet(tmp_path / "scores.parquet")
    for name in ScoreTable.__dataclass_fields__:
        assert getattr(back, name).tolist() == getattr(table, name).tolist()
        assert getattr(back, name).dtype == getattr(table, name).dtype


def test_other_files_are_not_read_as_scores(tmp_path):
    for path, content in ((tmp_path / "a.parquet", b"not parquet"), (tmp_path / "b.parquet", b"")):
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match="not a table of scores"):
            ScoreTable.from_parquet(path)
    with pytest.raises(IntegrityError):
        ScoreTable.from_parquet(tmp_path / "missing.parquet")


def test_only_the_columns_of_a_table_are_read_and_all_of_them(table, tmp_path):
    path = tmp_path / "scores.parquet"
    table.to_parquet(path)
    stored = pq.read_table(path)
    other = stored.select(stored.column_names[::-1]).append_column("more", [["x"] * 3])
    pq.write_table(other, path)
    back = ScoreTable.from_parquet(path)
    for name in ScoreTable.__dataclass_fields__:
        assert getattr(back, name).tolist() == getattr(table, name).tolist()
    pq.write_table(stored.drop_columns(["license"]), path)
    with pytest.raises(IntegrityError, match="license"):
        ScoreTable.from_parquet(path)


def test_reading_does_not_import_pandas(table, tmp_path):
    table.to_parquet(tmp_path / "scores.parquet")
    code = (
        "import sys; from pathlib import Path;"
        " from lmcore.evaluation.scores.table import ScoreTable;"
        " print(len(ScoreTable.from_parquet(Path(sys.argv[1]))), 'pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "scores.parquet")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["3", "False"]


def test_documents_hash_ignores_order_and_scores_but_not_text(table):
    order = ScoreTable.joined([table.select([False, True, True]), table.select([True, False, 0])])
    order.nll_nats[:] = 7
    assert order.documents_hash() == table.documents_hash()
    assert table.select([True, True, False]).documents_hash() != table.documents_hash()


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(6)))
def test_any_order_of_rows_gives_the_same_difference(order):
    size = np.arange(1, 7)

    def of(rows):
        names = [f"{row}" for row in rows]
        return ScoreTable(
            id=names,
            cluster=names,
            name=names,
            split=["validation"] * 6,
            source=[0] * 6,
            license=["MIT"] * 6,
            num_bytes=size[rows],
            num_tokens=size[rows],
            nll_nats=np.sqrt(size)[rows],
            anchor=[False] * 6,
        )

    reference = of(np.arange(6))
    other = of(np.array(order))
    interval = reference.paired_difference(other, resampling=Resampling(resamples=1000))
    assert (interval.lower, interval.value, interval.upper) == (0, 0, 0)
