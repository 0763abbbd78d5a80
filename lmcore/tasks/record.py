"""`task.json`: what a trained task needs to answer, beside its weights and its tokenizer."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError
from lmcore.settings import Section
from lmcore.tasks.task import TASKS, Task, TaskName

RECORD_FILE = "task.json"


class TaskRecord(Section):
    """How inputs are read and outputs are made.

    Attributes:
        task: Which one.
        labels: Class names in the order of the outputs; none where text is written.
        shares: Of the classes in the train split.
        temperature: What class scores are divided by, so that probabilities are honest.
        separator: Token between source and target.
        max_source_tokens: Longer inputs are cut.
        max_target_tokens: Most tokens of an output.
        beam_size: Of the search.
        length_penalty: Of the search.
        no_repeat_ngram_size: Of the search; 0: off.
    """

    schema_version: int = 1
    task: TaskName
    labels: tuple[str, ...]
    shares: tuple[float, ...]
    temperature: float
    separator: int
    max_source_tokens: int
    max_target_tokens: int
    beam_size: int
    length_penalty: float
    no_repeat_ngram_size: int

    @property
    def kind(self) -> Task:
        """The task itself."""
        return TASKS[self.task]

    def write(self, folder: Path) -> None:
        """Write it into a folder of weights."""
        atomic_write(folder / RECORD_FILE, self.model_dump_json(indent=1))


def read_record(folder: Path) -> TaskRecord:
    """Read the record of a folder of weights.

    Raises:
        IntegrityError: If there is none that can be read.
    """
    path = folder / RECORD_FILE
    try:
        return TaskRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(
            f"{path}: not the record of a task ({reason}); nothing was loaded. Restore the folder"
            " or train again"
        ) from error
