"""Script: one training as `lmcore run` would launch it, on the first of several hosts.

Argument: a job as JSON. Writes what happens to `<told>`, one event a line, and the summary last.
"""

import json
import sys
from pathlib import Path

from lmcore.durable import atomic_write
from lmcore.errors import LmcoreError
from lmcore.training.events import TrainingEvent
from lmcore.training.launch.files import Job, event_line
from lmcore.training.launch.launcher import launch

told, done = Path(sys.argv[1]), Path(sys.argv[2])
job = Job.model_validate_json(sys.argv[3])
job.output.mkdir(parents=True, exist_ok=True)
with told.open("a", buffering=1) as stream:

    def tell(event: TrainingEvent) -> None:
        stream.write(event_line(event))

    try:
        answer = {"summary": dict(launch(job, on_event=tell))}
    except LmcoreError as error:
        answer = {"error": [type(error).__name__, str(error)]}
atomic_write(done, json.dumps(answer))
