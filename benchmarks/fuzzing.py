"""Files, configurations and command lines that mean no good, for minutes instead of seconds.

The same tests as in `make test` (`tests/support/odd_inputs.py` draws what they are given), with
many times more examples and other ones each time.  Out: how many were tried, and that none of them
ended in a traceback, an exit code that nobody announced, or memory without bound; a failure prints
the example, which belongs into the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.recording import ROOT, parser, record

#: Test file, and how many times more examples it is given.
PARTS = {
    "files": ("tests/lmcore/data/sources/test_any_file.py", 250),
    "configurations": ("tests/lmcore/test_any_config.py", 300),
    "command lines": ("tests/flows/commands/test_any_command.py", 200),
}


def main() -> None:
    options = parser(__doc__).parse_args()
    results: dict[str, Any] = {}
    for part, (path, times) in PARTS.items():
        times = 2 if options.quick else times
        environment = {**os.environ, "LMCORE_FUZZ_TIMES": str(times), "OMP_NUM_THREADS": "1"}
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            "timeout=0",
        ]
        done = subprocess.run([*command, path], cwd=ROOT, env=environment, check=False)
        results[part] = {
            "times_the_examples_of_make_test": times,
            "seconds": round(time.monotonic() - began, 1),
            "passed": done.returncode == 0,
        }
    record("fuzzing", {"parts": results}, options)
    if not all(part["passed"] for part in results.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
