"""`python -m lmcore.training.launch.join HOME`: give a host's processes to a training elsewhere.

The first host runs `lmcore run` with `training.launcher: torchrun` and `training.hosts`; each other
one runs this. It waits for the training, starts its part of the ranks by the same agent, and starts
them again as long as the training is not done, so it may be ended and started at any time.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lmcore.errors import UserError
from lmcore.training.launch.failures import refusal
from lmcore.training.launch.files import LaunchFiles, read_job
from lmcore.training.launch.launcher import agent_process
from lmcore.training.launch.waiting import is_held, wait_for_job

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0


def join(folder: Path, *, until: Path | None = None, interface: str | None = None) -> int:
    """Take part in one training, or, where `until` is given, in all until that file is there.

    Args:
        folder: LMCORE_HOME of the first host, at the same path, or the folder of one launch.
        until: A file that the first host makes when there is nothing more to do.
        interface: Network interface of this host, where it has another name than on the first.

    Returns:
        0, or 1 if a training ended without a result.

    Raises:
        ConfigError: If there is no such folder.
    """
    code = 0
    while files := wait_for_job(folder, until=until):
        code = _take_part(files, interface=interface)
        if until is None:
            return code
    return code


def _take_part(files: LaunchFiles, *, interface: str | None) -> int:
    """Start the agent, again and again as long as somebody waits for the training's end."""
    job = read_job(files)
    logger.info("joins the training in %s", files.folder)
    while True:
        with agent_process(job, files, joins=True, interface=interface) as agent:
            code = agent.wait()
        if files.result.exists() or code == 0:
            logger.info("the training is done")
            return 0
        if refusal(files) is not None or not is_held(files.parent):
            logger.error("the training ended without a result; see %s", files.folder)
            return 1
        logger.warning("the processes of this host ended; they are started again")
        time.sleep(_PAUSE_SECONDS)


def main(arguments: Sequence[str]) -> int:
    """The command; exit code 2 for what cannot be joined."""
    parser = argparse.ArgumentParser(
        prog="python -m lmcore.training.launch.join",
        description="Give the processes of this host to a training that another host runs.",
    )
    parser.add_argument("folder", type=Path, help="LMCORE_HOME, shared by all hosts")
    parser.add_argument("--until", type=Path, help="join each training until this file is there")
    parser.add_argument("--interface", help="network interface of this host")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return join(given.folder.resolve(), until=given.until, interface=given.interface)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
