"""Run the flow run that a container was started for: `python -m flows.servers.flow_run`.

In: what a worker of Docker or Kubernetes put into the environment.  Out: this process turned into
Prefect's own runner of one flow run, with settings that are isolated before Prefect reads them.
"""

from __future__ import annotations

import os
import sys

from flows.home.environment import prepare
from flows.home.folders import PROJECT
from lmcore.errors import LmcoreError

#: Says what becomes of a run whose pod is taken away; the worker decides it.
_ON_SIGTERM = "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"


def main() -> None:
    """Settle the environment, then become the runner.

    Raises:
        UserError: If the home cannot be written.
    """
    on_sigterm = os.environ.get(_ON_SIGTERM)
    prepare()
    environ = {**os.environ, "PYTHONPATH": str(PROJECT)}
    if on_sigterm:
        environ[_ON_SIGTERM] = on_sigterm
    command = [sys.executable, "-m", "prefect", "flow-run", "execute"]
    os.execve(sys.executable, command, environ)  # noqa: S606 (a fixed command)


if __name__ == "__main__":
    try:
        main()
    except LmcoreError as error:
        print(f"lmcore: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
