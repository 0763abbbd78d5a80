import subprocess
import sys
from typing import get_args

from lmcore.evaluation.config import GateName
from lmcore.tasks.task import LANGUAGE_MODELLING, SUMMARIZATION, TASKS, TaskName, task_named


def test_every_name_has_its_value_and_every_gate_is_asked_somewhere() -> None:
    assert tuple(TASKS) == get_args(TaskName)
    assert set(get_args(GateName)) == {gate for task in TASKS.values() for gate in task.gates}
    for task in TASKS.values():
        assert task.is_language_model + task.chooses_label + task.writes_text == 1
        assert (task.target is None) == task.is_language_model


def test_a_name_that_somebody_wrote_into_a_tag_is_a_language_models() -> None:
    assert task_named("summarization") is SUMMARIZATION
    assert task_named("poetry") is task_named(None) is LANGUAGE_MODELLING


def test_the_table_is_light() -> None:
    code = (
        "import sys, lmcore.tasks.task; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
