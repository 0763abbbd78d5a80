"""The Prefect server of one run, as a child process: `python -P _prefect_server.py FD`.

Serves on the listening socket that it inherits, so no port is ever guessed or raced for, and
ends when its standard input does: whatever kills the parent, no server is left behind holding
the database.  Prefect's own ephemeral server outlives a parent that was killed.
"""

import os
import socket
import sys
import threading
import time

_START_SECONDS = 120.0
_GRACE_SECONDS = 8.0


def serve(descriptor: int) -> None:
    """Serve Prefect's API on an inherited listening socket until standard input ends."""
    import uvicorn
    from prefect.server.api.server import create_app

    server = uvicorn.Server(
        uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on")
    )

    def end_with_parent() -> None:
        while os.read(0, 4096):
            pass
        server.should_exit = True
        # A database that is being created or upgraded is not left half done.
        deadline = time.monotonic() + _START_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(_GRACE_SECONDS)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
