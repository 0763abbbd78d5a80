"""A version in memory that answers requests."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flows.registry.versions import Version
from flows.serving.limits import Limits
from lmcore.data.tokens.conversation import Conversations
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.engine.ask import Ask, Piece
from lmcore.engine.engine import Engine
from lmcore.errors import IntegrityError
from lmcore.model.language_model import LanguageModel
from lmcore.model.sampling import GenerationConfig
from lmcore.version_folder import VersionFolder

if TYPE_CHECKING:
    from lmcore.data.text.masking import DocumentMasking
    from lmcore.tasks.prediction import Prediction, Predictor

_SMOKE_TOKENS = 4
_SMOKE_SECONDS = 60.0


class Loaded:
    """One version, verified, loaded and tried.

    Args:
        version: As the registry describes it.
        folder: Its verified files.
        engine: Of a language model.
        tokenizer: The engine's.
        predictor: Of a task.
        limits: Of what is asked.

    Attributes:
        labels: Of a classifier.
        masking: That its training text went through.
        conversations: How it is talked to; None: not at all.
    """

    def __init__(
        self,
        version: Version,
        folder: VersionFolder,
        *,
        engine: Engine | None = None,
        tokenizer: Tokenizer | None = None,
        predictor: Predictor | None = None,
        limits: Limits,
    ) -> None:
        self.version = version
        self.fingerprint = f"{version.model}:{version.number}:{folder.weights_sha256[:12]}"
        self.engine, self._predictor = engine, predictor
        self._limits = limits
        self._answering = threading.Lock()
        self._asked = 0
        self._counting = threading.Lock()
        self.labels: tuple[str, ...] = ()
        self.masking: DocumentMasking
        self.conversations: Conversations | None = None
        if tokenizer is not None:
            self.tokenizer = tokenizer
            self.forbidden = folder.forbidden()
            self.conversations = Conversations.of(tokenizer)
            self.masking = folder.load_masking()
        elif predictor is not None:
            self.labels = tuple(predictor.record.labels)
            assert predictor.masking is not None
            self.masking = predictor.masking

    @classmethod
    def load(
        cls,
        version: Version,
        folder: VersionFolder,
        *,
        limits: Limits,
        on_step: Callable[[int], None],
    ) -> Loaded:
        """Load a version and have it answer something.

        Raises:
            IntegrityError: If it cannot be loaded, or what it answers is no answer.
        """
        if folder.is_task:
            loaded = cls(version, folder, predictor=folder.load_predictor(), limits=limits)
            loaded.predict(["The"])
            return loaded
        tokenizer = folder.load_tokenizer()

        def settled() -> LanguageModel:
            model = folder.load_model()
            model.settle()
            return model

        engine = Engine(
            settled,
            tokenizer,
            most_lanes=limits.lanes,
            most_waiting=limits.waiting,
            on_step=on_step,
        )
        try:
            _smoke(engine, version)
            return cls(version, folder, engine=engine, tokenizer=tokenizer, limits=limits)
        except BaseException:
            engine.close(wait=False, hurry=True)
            raise

    @property
    def is_task(self) -> bool:
        """Whether it labels, translates or summarizes."""
        return self._predictor is not None

    @property
    def busy(self) -> bool:
        """Whether somebody waits for it."""
        return any(self.load_now())

    def load_now(self) -> tuple[int, int]:
        """Requests in progress, and those that wait."""
        if self.engine is not None:
            now = self.engine.load()
            return now.running, now.waiting
        with self._counting:
            return min(self._asked, 1), max(0, self._asked - 1)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Answer texts; one request at a time, as the work is bound by the processor."""
        assert self._predictor is not None
        with self._counting:
            self._asked += 1
        try:
            with self._answering:
                return self._predictor.predict(texts)
        finally:
            with self._counting:
                self._asked -= 1

    def close(self, *, wait: bool = True, hurry: bool = False) -> None:
        """Take no more requests; the model leaves memory after the last that was taken."""
        if self.engine is not None:
            self.engine.close(wait=wait, hurry=hurry)


def _smoke(engine: Engine, version: Version) -> None:
    """Let it draw a few tokens, and look whether they are drawn from a distribution.

    Raises:
        IntegrityError: If not.
    """
    said: queue.SimpleQueue[Piece] = queue.SimpleQueue()
    engine.submit(
        Ask(
            prompt=[],
            before="",
            config=GenerationConfig(max_tokens=_SMOKE_TOKENS, temperature=0.0),
            deliver=said.put,
            likeliest=0,
        )
    )
    pieces: list[Any] = []
    while not pieces or pieces[-1].end is None:
        try:
            pieces.append(said.get(timeout=_SMOKE_SECONDS))
        except queue.Empty:
            raise IntegrityError(
                f"version {version.number} of {version.model} did not answer in"
                f" {_SMOKE_SECONDS:.0f} s; it is not used"
            ) from None
    told = [token.log_probability for piece in pieces for token in piece.tokens]
    if pieces[-1].end not in ("end", "length") or not all(map(_finite, told)):
        raise IntegrityError(
            f"version {version.number} of {version.model} draws from no distribution; it is not"
            " used. `lmcore show` tells what its gates said"
        )


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
