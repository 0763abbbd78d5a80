"""A run before its first step: what it was asked for, and all that its key is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.home.environment import Home
from flows.steps.run_key import RunKey
from lmcore.config import RunConfig
from lmcore.content_store import ContentStore
from lmcore.data.copies.removal import Removals
from lmcore.data.sources.located import SourceFingerprint
from lmcore.model.pretrained.base import Base, reference_of
from lmcore.model.pretrained.shelf import verified
from lmcore.tasks.base_model import BaseModel
from lmcore.tasks.task import TASKS, Task


@dataclass(frozen=True, kw_only=True)
class Run:
    """What every step of a run may ask for.

    Attributes:
        config: The pipeline's configuration.
        home: Where everything is kept.
        key: Digests of all that the run depends on.
        sources: The sources' files, whatever was removed of them.
        removals: What must be forgotten by now.
        base: The language model that a task starts from; None: there is none.
        pretrained: The imported model that everything begins with; None: random weights.
    """

    config: RunConfig
    home: Home
    key: RunKey
    sources: SourceFingerprint
    removals: Removals
    base: BaseModel | None
    pretrained: Base | None = None

    @property
    def task(self) -> Task:
        """What is learnt."""
        return TASKS[self.config.task]

    @property
    def store(self) -> ContentStore:
        """Where the steps' results go."""
        return self.home.store

    def made_from(self, model: Path) -> Base | None:
        """The pretrained model that a stored model means nothing without; None: it is whole.

        Args:
            model: Folder of the stored model.

        Raises:
            IntegrityError: If it is missing or damaged.
        """
        wanted = reference_of(model)
        return None if wanted is None else verified(self.store.path(Base.kind, wanted.key))
