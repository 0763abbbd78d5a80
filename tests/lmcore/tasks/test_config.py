"""What a task's training may be told, and what a task does where nothing is said."""

from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.task import SUMMARIZATION, TASKS


def test_a_configuration_overrules_what_a_task_does_by_itself() -> None:
    assert [FineTuningConfig().copies(task) for task in TASKS.values()] == [False] * 3 + [True]
    assert [FineTuningConfig().no_repeat(task) for task in TASKS.values()] == [0, 0, 0, 3]
    own = FineTuningConfig(copying=False, no_repeat_ngram_size=0)
    assert not own.copies(SUMMARIZATION)
    assert own.no_repeat(SUMMARIZATION) == 0
