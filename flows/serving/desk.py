"""Which version answers: loads, follows the alias, and lets the old one end with its last request.

In: names of models, an alias, what the registry says.  Out: for each request the version that
answers it now.

A request keeps the version that it began with.  A new champion is verified, loaded and asked
something beside the old one; only if it answers does it take over, else the old one goes on and
the desk says why.  A version that a request names itself is kept beside (`flows.serving.pinned`).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flows.registry.reader import RegistryReader
from flows.registry.versions import Version
from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.measures import Present
from flows.serving.pinned import Pinned
from flows.serving.refusal import RefusalError
from lmcore.errors import LmcoreError, NotFoundError, UserError
from lmcore.heap import return_free_memory

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_LOOK_SECONDS = 2.0
#: What could not be loaded is tried again after so long, or when the registry says another thing.
_AGAIN_SECONDS = 60.0
#: Where requests come, so often what they needed and nobody uses goes back to the system, which
#: takes some ten milliseconds.
_RETURN_SECONDS = 1.0


@dataclass(kw_only=True)
class _Place:
    """One followed model.

    Attributes:
        model: Registered model.
        loaded: What answers; None: nothing could be loaded yet.
        problem: Why what the alias means is not what answers; empty: it is.
        refused: Manifest that could not be loaded, and when it may be tried again.
    """

    model: str
    loaded: Loaded | None = None
    problem: str = ""
    refused: tuple[str, float] = ("", 0.0)


class Desk:
    """Versions that answer.

    Args:
        reader: Of the registry.
        models: Names to be served; none: all that have the alias, also later ones.
        alias: To be followed.
        limits: Of what is asked.
        loads: Told model and outcome (`loaded`, `failed`) of each attempt.
        on_step: Told the model and the size of the batch of each token.
    """

    def __init__(
        self,
        reader: RegistryReader,
        *,
        models: Sequence[str] = (),
        alias: str = "champion",
        limits: Limits,
        loads: Callable[[str, str], None] = lambda model, outcome: None,
        on_step: Callable[[str, int], None] = lambda model, lanes: None,
    ) -> None:
        self._reader, self._alias, self._limits = reader, alias, limits
        self._named = tuple(models)
        self._loads, self._on_step = loads, on_step
        self._places: dict[str, _Place] = {name: _Place(model=name) for name in models}
        self._pinned = Pinned(self._load)
        self._lock = threading.Lock()
        self._asked, self._returned_at = False, 0.0
        self._stamp: object = None
        self._looked = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # -- beginning and end -----------------------------------------------------------------------

    def open(self, *, wait: bool = False) -> None:
        """Load what the alias means now, and follow it from then on.

        Args:
            wait: Whether there may be nothing to load yet.

        Raises:
            LmcoreError: If a named model does not exist or nothing can be loaded, unless that may
                be.
        """
        if not wait:
            for name in self._named:
                self._reader.version(name, self._alias)
        try:
            self.look()
        except LmcoreError:
            if not wait:
                raise
        if not wait and not any(place.loaded for place in self._places.values()):
            problems = [place.problem for place in self._places.values() if place.problem]
            raise UserError(
                problems[0]
                if problems
                else f"no model has the alias {self._alias!r}; promote a version, or choose another"
                " with --alias."
            )
        self._thread = threading.Thread(target=self._follow, name="lmcore-desk", daemon=True)
        self._thread.start()

    def close(self, *, hurry: bool = False) -> None:
        """Take no more requests; return when the last that was taken is answered."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            all_loaded = [p.loaded for p in self._places.values() if p.loaded]
            all_loaded += self._pinned.forget()
            for place in self._places.values():
                place.loaded = None
        for loaded in all_loaded:
            loaded.close(hurry=hurry)

    # -- for requests ----------------------------------------------------------------------------

    def take(self, asked: str) -> Loaded:
        """The version that answers a request for `NAME`, `NAME:7` or `NAME@alias`.

        Loading a pinned one takes seconds, so call it where that may be.

        Raises:
            RefusalError: If there is none.
        """
        self._asked = True
        name, colon, number = asked.partition(":")
        if not colon:
            name, _, alias = asked.partition("@")
        with self._lock:
            place = self._places.get(name)
        if place is None:
            known = ", ".join(sorted(self._places)) or "none"
            raise RefusalError(
                404,
                f"the model {name!r} is not served here; served are {known}",
                param="model",
                code="model_not_found",
            )
        if colon:
            if not number.isascii() or not number.isdigit() or len(number) > 9:
                raise RefusalError(
                    404, f"{asked!r}: expected NAME:NUMBER", param="model", code="model_not_found"
                )
            return self._take_pinned(name, int(number))
        if alias and alias != self._alias:
            return self._take_pinned(name, alias)
        loaded = place.loaded
        if loaded is None:
            raise RefusalError(
                503, f"no version of {name} is loaded: {place.problem}", retry_after=5
            )
        return loaded

    def _take_pinned(self, name: str, which: int | str) -> Loaded:
        try:
            version = self._reader.version(name, which)
        except NotFoundError as error:
            raise RefusalError(404, str(error), param="model", code="model_not_found") from error
        followed = self._places[name].loaded
        if followed is not None and followed.version.number == version.number:
            return followed
        return self._pinned.take(version)

    # -- following -------------------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            try:
                stamp, now = self._reader.stamp(), time.monotonic()
                # A stamp may miss a change that came within its clock's tick.
                if stamp != self._stamp or now - self._looked > _LOOK_SECONDS:
                    self._stamp, self._looked = stamp, now
                    self.look()
            except Exception as error:  # the registry may be away for a while; requests go on
                logger.warning("the registry did not answer (%s); what is loaded goes on", error)
            self._return_memory()

    def _return_memory(self) -> None:
        """Return what requests needed, from time to time while there are any and once behind."""
        now = time.monotonic()
        if self._asked and now - self._returned_at >= _RETURN_SECONDS:
            self._asked, self._returned_at = False, now
            if any(present.running or present.waiting for present in self.present()):
                self._asked = True
            return_free_memory()

    def look(self) -> None:
        """See what the alias means now, and load what is new."""
        if not self._named:
            with contextlib.suppress(NotFoundError):  # nothing was ever registered
                for name in self._reader.models():
                    with self._lock:
                        self._places.setdefault(name, _Place(model=name))
        for place in list(self._places.values()):
            self._look_at(place)

    def _look_at(self, place: _Place) -> None:
        try:
            version = self._reader.version(place.model, self._alias)
        except NotFoundError as error:
            # Without the alias nobody says that this version is good for use any more.
            place.problem = str(error)
            self._switch(place, None)
            return
        manifest, now = version.manifest_sha256, time.monotonic()
        loaded = place.loaded
        if loaded is not None and _same(loaded.version, version):
            place.problem = ""
            return
        if place.refused[0] == manifest and now < place.refused[1]:
            return
        try:
            fresh = self._load(version)
        except Exception as error:  # whatever a broken version raises: the old one goes on
            place.refused = (manifest, now + _AGAIN_SECONDS)
            goes_on = "nothing" if loaded is None else f"version {loaded.version.number}"
            place.problem = (
                f"version {version.number} of {place.model} is {self._alias} and cannot be used"
                f" ({error}); {goes_on} answers"
            )
            logger.error("%s", place.problem)
            return
        place.problem, place.refused = "", ("", 0.0)
        self._switch(place, fresh)
        logger.info("version %d of %s answers now", version.number, place.model)

    def _load(self, version: Version) -> Loaded:
        try:
            folder = self._reader.open(version)
            loaded = Loaded.load(
                version,
                folder,
                limits=self._limits,
                on_step=lambda lanes: self._on_step(version.model, lanes),
            )
        except Exception:
            self._loads(version.model, "failed")
            raise
        return_free_memory()
        self._loads(version.model, "loaded")
        return loaded

    def _switch(self, place: _Place, fresh: Loaded | None) -> None:
        with self._lock:
            old, place.loaded = place.loaded, fresh
        if old is not None:
            old.close(wait=False)

    # -- what it says ----------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether each named model, or any, has a version that answers."""
        with self._lock:
            places = list(self._places.values())
        loaded = [place for place in places if place.loaded is not None]
        return len(loaded) == len(places) if self._named else bool(loaded)

    def problems(self) -> list[str]:
        """What is not as it should be."""
        with self._lock:
            return [place.problem for place in self._places.values() if place.problem]

    def in_use(self) -> Mapping[str, Loaded]:
        """What answers, by model."""
        with self._lock:
            return {p.model: p.loaded for p in self._places.values() if p.loaded is not None}

    def present(self) -> Iterator[Present]:
        """See `Measures`."""
        with self._lock:
            found = [(self._alias, p.loaded) for p in self._places.values() if p.loaded]
            found += [("", loaded) for loaded in self._pinned.loaded()]
        for alias, loaded in found:
            running, waiting = loaded.load_now()
            yield Present(
                model=loaded.version.model,
                version=loaded.version.number,
                alias=alias,
                running=running,
                waiting=waiting,
            )


def _same(one: Version, other: Version) -> bool:
    return (one.number, one.manifest_sha256) == (other.number, other.manifest_sha256)
