"""The version of a gate: what decides, and the limits in force."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from lmcore.evaluation.config import GateName, GatesConfig
from lmcore.evaluation.gates.version import gate_modules, gate_version

ROOT = Path(__file__).parents[4]
GATES = GatesConfig.default()
# The modules that measure what a gate judges, beside those that are named after it.
MEASURES = {
    "instrument": {"evaluation.scores.scoring", "model.language_model", "tasks.prediction"},
    "provenance": {"evaluation.ownership", "data.copies.removal", "data.text.licences"},
    "competence": {
        "evaluation.baselines.ngram",
        "evaluation.scores.scoring",
        "tasks.measures.baselines",
    },
    "champion": {"evaluation.scores.scoring", "tasks.prediction", "tasks.measures.metrics"},
    "overfitting": {
        "evaluation.memory.membership",
        "evaluation.baselines.ngram",
        "tasks.prediction",
    },
    "data_sufficiency": {"evaluation.scores.scoring"},
    "pii": {"evaluation.pii.evidence", "data.text.privacy", "model.generation"},
    "contamination": {"evaluation.memory.contamination"},
    "regurgitation": {"evaluation.memory.suffix_array", "evaluation.memory.regurgitation"},
    "exposure": {"evaluation.memory.exposure", "data.tokens.canaries"},
    "bias_lm": {"evaluation.bias.evidence", "evaluation.bias.words"},
    "bias_task": {"tasks.gates.bias_pairs", "tasks.prediction"},
}
# In a copy of the package, from a folder elsewhere.
EVERY_CONSTANT = """
import pathlib, sys, lmcore
from lmcore import code_closure
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.version import gate_modules, gate_version

def found():
    code_closure._meaning.cache_clear()
    return code_closure.meanings(known), gate_version("competence", GatesConfig.default())

assert pathlib.Path(lmcore.__file__).is_relative_to(sys.argv[1])
known = gate_modules("competence")
files = {
    ".".join(path.relative_to(pathlib.Path(lmcore.__file__).parents[1]).with_suffix("").parts): path
    for path in pathlib.Path(lmcore.__file__).parent.rglob("[a-z]*.py")
}
before = found()
for name, path in files.items():
    constant = "" if name in known else "_CONSTANT = 1"
    path.write_text(path.read_text() + f"\\n# A remark.\\n{constant}\\n")
assert found() == before
for name in known:
    files[name].write_text(files[name].read_text() + "_CONSTANT = 1\\n")
after = found()
assert after[1] != before[1]
assert [name for name in known if after[0][name] == before[0][name]] == []
print(len(known), before[1])
"""


@pytest.mark.parametrize("gate", get_args(GateName))
def test_a_gate_holds_what_measures_for_it(gate):
    found = {name.removeprefix("lmcore.") for name in gate_modules(gate)}
    assert {f"evaluation.gates.{gate}", f"tasks.gates.{gate}"} & found
    assert found >= MEASURES[gate] | {"evaluation.gates.result", "evaluation.statistics.intervals"}
    assert not any(name.startswith(("controls", "reporting", "serving")) for name in found)


def test_a_version_is_of_one_gate_and_its_limits():
    before = gate_version("competence", GATES)
    other = GatesConfig.model_validate({"competence": {"max_difference_bits_per_byte": -0.1}})
    assert gate_version("competence", other) != before
    assert gate_version("champion", other) == gate_version("champion", GATES) != before
    on = GatesConfig.model_validate({"data_sufficiency": {"enabled": True}})
    assert gate_version("data_sufficiency", on) == gate_version("data_sufficiency", GATES)


def test_every_constant_that_decides_counts_wherever_the_package_lies(tmp_path):
    package, folder = tmp_path / "site-packages", tmp_path / "elsewhere"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lmcore", package / "lmcore", ignore=ignored)
    shutil.copytree(ROOT / "configs", package / "lmcore" / "configs")
    folder.mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", EVERY_CONSTANT, str(package)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # The same code is the same version, wherever it lies; and nothing is written beside it.
    known = str(len(gate_modules("competence")))
    assert done.stdout.split() == [known, gate_version("competence", GATES)]
    assert sorted(tmp_path.rglob("*")) == before
