"""The parts of a server, put together: what answers, what measures, and what is kept.

In: the registry and settings.  Out: an application, and one place to begin and to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flows.registry.reader import RegistryReader
from flows.serving.access import App, Keys
from flows.serving.app import create_app
from flows.serving.desk import Desk
from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.measures import Measures
from flows.serving.recorder import Recorder
from flows.serving.remembered import Answered
from flows.serving.shadow import Shadow
from lmcore.data.requests.config import ServeConfig


class Wired:
    """A server without its socket.

    Args:
        registry: Reader of the registry.
        limits: Of what is asked.
        models: Names to be served; none: all that have the alias.
        alias: To be followed.
        requests: Folder of what is kept of requests.
        settings: What is kept, by model; none of a model that is not named.
        shadow: Alias of versions that read along.

    Attributes:
        desk: What answers.
    """

    def __init__(
        self,
        registry: RegistryReader,
        *,
        limits: Limits,
        models: Sequence[str] = (),
        alias: str = "champion",
        requests: Path,
        settings: Mapping[str, ServeConfig] | None = None,
        shadow: str | None = None,
    ) -> None:
        self._limits = limits
        self._measures = measures = Measures(lambda: self.desk.present())
        self.desk = Desk(
            registry,
            models=models,
            alias=alias,
            limits=limits,
            loads=lambda model, outcome: measures.loads.labels(model, outcome).inc(),
            on_step=lambda model, lanes: measures.lanes.labels(model).observe(lanes),
        )
        self._shadow = None if shadow is None else Shadow(self.desk, shadow, requests)
        self._recorder = Recorder(requests, settings or {}, on_asked=self._asked)

    def _asked(self, answered: Answered, loaded: Loaded) -> None:
        if self._shadow is not None:
            self._shadow.read(answered, loaded)

    def open(self, *, wait: bool = False) -> None:
        """Load what is in use, and begin to keep what is asked.

        Args:
            wait: Whether there may be nothing to load yet.

        Raises:
            LmcoreError: If there is nothing to load, and that may not be.
        """
        self.desk.open(wait=wait)
        self._recorder.open()
        if self._shadow is not None:
            self._shadow.open()

    def app(self, *, keys: Keys | None, hosts: Sequence[str] = ()) -> App:
        """The application.

        Args:
            keys: None: everybody may ask.
            hosts: Names beside the loopback ones that it may be asked under.
        """
        return create_app(
            self.desk,
            self._measures,
            self._recorder,
            keys=keys,
            hosts=hosts,
            limits=self._limits,
        )

    def close(self) -> None:
        """End what is under way, and write what is kept."""
        self._recorder.close()
        if self._shadow is not None:
            self._shadow.close()
        self.desk.close(hurry=True)
