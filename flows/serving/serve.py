"""`lmcore serve`: a server of champions, from its command to its last request.

In: what the command line says.  Out: a process that answers until a signal; then requests under way
are answered, and new ones are refused by a closed port.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.home.configurations import read_config
from flows.home.environment import current
from flows.home.listening import listen
from flows.registry.reader import HomeReader
from flows.serving.access import LOOPBACK, Keys
from flows.serving.limits import Limits
from flows.serving.wiring import Wired
from lmcore.data.requests.config import ServeConfig
from lmcore.errors import UserError

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line says.

    Attributes:
        models: Names; none means all that have the alias.
        host: Address to listen on.
        port: 0 takes a free one.
        alias: To be followed.
        keys: Folder of keys; None: nobody needs one.
        without_key: Whether that was said.
        allowed_hosts: Names that the server may be asked under.
        wait: Whether it starts where nothing can be loaded yet.
        configs: Configurations that say what is kept of the requests to their models.
        shadow: Alias of versions that read along; None: none does.
    """

    models: Sequence[str] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    alias: str = "champion"
    keys: Path | None = None
    without_key: bool = False
    allowed_hosts: Sequence[str] = ()
    wait: bool = False
    configs: Sequence[Path] = ()
    shadow: str | None = None


def serve(
    asked: Asked, *, limits: Limits | None = None
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Load what is in use and listen.

    Returns:
        The answer of the command, and what answers requests until a signal.

    Raises:
        UserError: If nobody could be told apart on an address that others reach, a key is no key,
            the port is taken, or nothing can be loaded.
    """
    started = time.monotonic()
    limits = limits or Limits()
    home = current()
    configs = [read_config(home, file) for file in asked.configs]
    if asked.shadow is not None and not any(config.serve.records for config in configs):
        raise UserError(
            f"--shadow {asked.shadow}: it reads what is sampled, and nothing is; give a"
            " configuration with `serve: {record: sampled}` by --config."
        )
    keys = _keys(asked, home.resolve)
    listener = _listen(asked.host, asked.port)
    wired = Wired(
        HomeReader(home),
        limits=limits,
        models=asked.models,
        alias=asked.alias,
        requests=home.requests,
        settings={config.name: config.serve for config in configs},
        shadow=asked.shadow,
    )
    try:
        wired.open(wait=asked.wait)
        app = wired.app(keys=keys, hosts=[*asked.allowed_hosts, asked.host])
    except BaseException:
        listener.close()
        wired.close()
        raise
    address = _address(asked.host, listener.getsockname()[1])

    def stay() -> None:
        with listener:
            _answer(app, listener, limits)
        wired.close()
        logger.info("the last request is answered; the server ends")

    values = {
        "url": address,
        "models": [
            {
                "model": name,
                "task": loaded.version.task,
                "version": loaded.version.number,
                "fingerprint": loaded.fingerprint,
            }
            for name, loaded in wired.desk.in_use().items()
        ],
        "alias": asked.alias,
        "keys": keys is not None,
        "recorded": sorted(config.name for config in configs if config.serve.records),
        "shadow": asked.shadow,
        "problems": wired.desk.problems(),
        "pid": os.getpid(),
        "seconds": round(time.monotonic() - started, 2),
    }
    return values, stay


def attend(descriptor: int, key: str) -> None:
    """Answer on an inherited listening socket until standard input ends: a part of `lmcore up`.

    Args:
        descriptor: Of the socket.
        key: Of the only client.
    """
    limits, home = Limits(), current()
    settings = {
        str(config["name"]): ServeConfig.model_validate(config["serve"])
        for config in json.loads((home.up / "configs.json").read_text(encoding="utf-8"))
    }
    wired = Wired(HomeReader(home), limits=limits, requests=home.requests, settings=settings)
    wired.open(wait=True)
    app = wired.app(keys=Keys.of({"up": key}))

    def end_with_parent() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_parent, daemon=True).start()
    _answer(app, socket.socket(fileno=descriptor), limits)
    wired.close()


def _keys(asked: Asked, resolve: Callable[[Path], Path]) -> Keys | None:
    if asked.keys is not None:
        if asked.without_key:
            raise UserError("both --keys and --no-key were given; choose one.")
        return Keys.read(resolve(asked.keys))
    if not asked.without_key:
        raise UserError(
            "nobody could be told apart: give a folder of keys with --keys, or say --no-key on a"
            " loopback address."
        )
    if asked.host not in LOOPBACK:
        raise UserError(
            f"--no-key on {asked.host}: others could reach it; give --keys, or listen on 127.0.0.1."
        )
    return None


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise UserError(
            f"{host} port {port} cannot be listened on ({error}); choose others with --host and"
            " --port."
        ) from error


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _answer(app: Any, listener: socket.socket, limits: Limits) -> None:
    """Answer until SIGTERM or Ctrl-C; then those under way."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """As the library does, but a signal that was obeyed is not raised once more."""
            kept = {one: signal.signal(one, self.handle_exit) for one in _SIGNALS}
            try:
                yield
            finally:
                for one, handler in kept.items():
                    signal.signal(one, handler)

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(limits.drain_seconds),
        h11_max_incomplete_event_size=64 << 10,
        server_header=False,
        proxy_headers=False,
    )
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    attend(int(sys.argv[1]), os.environ.pop("LMCORE_SERVE_KEY"))
