import math
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.scores.metrics import (
    BitsPerByte,
    PairedBitsPerByte,
    bits_per_byte,
)
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import ratio_interval
from lmcore.evaluation.statistics.resampling import Resampling

LN2 = math.log(2)


def table_of(document, nll):
    texts = [f"text number {i}" for i in range(len(nll))]
    return ScoreTable.of(
        [document(t) for t in texts], num_tokens=[3] * len(nll), nll_nats=np.array(nll) * LN2
    )


def test_value_by_hand_and_bounds_of_the_bootstrap():
    answer = BitsPerByte().compute(predictions=[2 * LN2, 4 * LN2], references=[2, 2])
    assert answer["bits_per_byte"] == pytest.approx(1.5)
    expected = ratio_interval([2.0, 4.0], [2, 2])
    assert answer["bits_per_byte_upper"] == pytest.approx(expected.upper)
    assert answer["bits_per_byte_n"] == 2


def test_batches_add_up():
    whole = BitsPerByte().compute(predictions=[1.0, 2.0, 3.0], references=[4, 5, 6])
    metric = BitsPerByte()
    metric.add_batch(predictions=[1.0], references=[4])
    metric.add_batch(predictions=[2.0, 3.0], references=[5, 6])
    assert metric.compute() == whole


def test_table_functions_go_through_the_metrics(document):
    table, other = table_of(document, [4, 9, 16]), table_of(document, [5, 9, 18])
    how = Resampling(seed=1)
    assert bits_per_byte(table, resampling=how) == table.bits_per_byte(resampling=how)
    difference = measured_bits(table).minus(measured_bits(other), resampling=how)
    assert difference == table.paired_difference(other, resampling=how)
    assert difference.value == pytest.approx(-3 / table.num_bytes.sum())
    answer = PairedBitsPerByte().compute(
        predictions=table.nll_nats,
        baseline=other.nll_nats,
        references=table.num_bytes,
        seed=1,
    )
    assert answer["bits_per_byte_difference_upper"] == difference.upper


def test_combine_works():
    import evaluate

    both = evaluate.combine([BitsPerByte(), PairedBitsPerByte()])
    answer = both.compute(predictions=[LN2, LN2], baseline=[2 * LN2, LN2], references=[1, 1])
    assert answer["bits_per_byte"] == pytest.approx(1)
    assert answer["bits_per_byte_difference"] == pytest.approx(-0.5)


@pytest.mark.parametrize("nats", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_without_finite_data_the_metric_raises(nats):
    with pytest.raises((EmptyEvaluationError, ValueError)):
        BitsPerByte().compute(predictions=nats, references=[1] * len(nats))


def test_nothing_is_written_and_no_network_is_asked(tmp_path):
    script = """
import socket
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from lmcore.evaluation.scores.metrics import BitsPerByte
print(BitsPerByte().compute(predictions=[1.0, 2.0], references=[1, 2])["bits_per_byte_n"])
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "HF_HOME": str(home / "hf")}
    for name in ("XDG_CACHE_HOME", "HF_METRICS_CACHE", "HF_EVALUATE_CACHE", "HF_DATASETS_CACHE"):
        environment.pop(name, None)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2"
    assert [p for p in home.rglob("*") if p.is_file()] == []


COMBINED = """
import socket
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
socket.create_connection = refuse
from lmcore.evaluation.scores.metrics import BitsPerByte, PairedBitsPerByte
import evaluate
data = dict(
    predictions=[1.0, 2.0, 4.0], baseline=[2.0, 2.0, 5.0], references=[1, 2, 3],
    cluster=["a", "b", "c"], seed=4, resamples=1000,
)
alone = BitsPerByte().compute(**{k: v for k, v in data.items() if k != "baseline"})
alone |= PairedBitsPerByte().compute(**data)
both = evaluate.combine([BitsPerByte(), PairedBitsPerByte()])
assert both.compute(**data) == alone, (alone,)
batches = evaluate.combine([BitsPerByte(), PairedBitsPerByte()])
for part in (slice(0, 1), slice(1, 3)):
    batches.add_batch(**{k: data[k][part] for k in ("predictions", "baseline", "references")})
found = batches.compute(cluster=data["cluster"], seed=4, resamples=1000)
assert found == alone, (found, alone)
print(sorted(alone))
"""


def test_metrics_combine_without_a_network(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "HF_HOME": str(home / "hf")}
    for name in ("HF_EVALUATE_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE"):
        environment.pop(name, None)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", COMBINED],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "bits_per_byte_difference_upper" in done.stdout
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert socket.socket.connect  # only the other process was cut off
