"""Resume points: everything a killed run needs to go on bit for bit.

In: model, optimizer, recurrent state, best weights, progress, log. Out: folders
`step-00000120`, each whole or absent (written aside, hashed, fsynced, renamed), of which
the two newest are kept; a damaged one is passed over for the one before.

Tensors are safetensors, the rest is JSON; nothing is pickled. Random state needs no
room: dropout is keyed by (seed, step), and the order of batches as well.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmcore.durable import atomic_write, fsync_directory
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest, open_verified
from lmcore.training.progress import Progress

logger = logging.getLogger(__name__)

KEPT = 2
_TENSORS_FILE = "tensors.safetensors"
_PROGRESS_FILE = "progress.json"
_LOG_FILE = "log.jsonl"
_KIND = "resume-point"


@dataclass(frozen=True, kw_only=True)
class ResumePoint:
    """Contents of one resume point; all tensors on the CPU once loaded.

    Attributes:
        progress: Everything that is not a tensor.
        model: Weights by name.
        optimizer: See `optimizer_tensors`.
        state: Tensors of the recurrent state in order, with all lanes.
        best: Weights of the best look by name; empty before the first.
        log: JSON lines written so far.
    """

    progress: Progress
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: tuple[Tensor, ...]
    best: Mapping[str, Tensor] = field(default_factory=dict)
    log: str = ""

    def flat(self) -> dict[str, Tensor]:
        """Copies of all tensors under one name each; a file cannot hold one tensor twice."""
        groups = {
            "model": self.model,
            "optimizer": self.optimizer,
            "state": {str(index): tensor for index, tensor in enumerate(self.state)},
            "best": self.best,
        }
        return {
            f"{group}/{name}": tensor.detach().to("cpu", copy=True).contiguous()
            for group, tensors in groups.items()
            for name, tensor in tensors.items()
        }

    @classmethod
    def from_flat(
        cls, progress: Progress, tensors: Mapping[str, Tensor], *, log: str
    ) -> ResumePoint:
        """Undo `flat`."""
        groups: dict[str, dict[str, Tensor]] = {
            "model": {},
            "optimizer": {},
            "state": {},
            "best": {},
        }
        for key, tensor in tensors.items():
            group, name = key.split("/", 1)
            groups[group][name] = tensor
        state = groups.pop("state")
        ordered = tuple(state[str(index)] for index in range(len(state)))
        return cls(progress=progress, state=ordered, log=log, **groups)


class ResumeStore:
    """The resume points of one run.

    Args:
        root: Folder of the points; made when the first is written.
        on_damage: Told in one sentence when a damaged point is passed over.
    """

    def __init__(self, root: Path, *, on_damage: Callable[[str], None] | None = None) -> None:
        self.root = root
        self._on_damage = on_damage or logger.warning

    def save(self, point: ResumePoint) -> Path:
        """Write a point whole or not at all, then drop all but the newest ones."""
        step = point.progress.step
        final = self._folder(step)
        temporary = self.root / f".step-{step:010d}.partial"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file(point.flat(), temporary / _TENSORS_FILE)
        atomic_write(temporary / _LOG_FILE, point.log)
        atomic_write(temporary / _PROGRESS_FILE, point.progress.model_dump_json(indent=1))
        Manifest.write(temporary, kind=_KIND, inputs={"step": step})
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)
        fsync_directory(self.root)
        for old in self._newest_first()[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def load(self, *, up_to: int | None = None) -> ResumePoint | None:
        """The newest whole point, none later than `up_to` steps; None if there is none."""
        for partial in self.root.glob(".step-*.partial"):
            shutil.rmtree(partial, ignore_errors=True)
        for folder in self._newest_first():
            if up_to is not None and int(folder.name.removeprefix("step-")) > up_to:
                continue
            try:
                return _read(folder)
            except IntegrityError as error:
                self._on_damage(f"a damaged resume point was passed over: {error}")
        return None

    def read(self, step: int) -> ResumePoint:
        """The point after so many steps, which `load` found whole.

        Raises:
            IntegrityError: If it is damaged.
        """
        return _read(self._folder(step))

    def _folder(self, step: int) -> Path:
        return self.root / f"step-{step:010d}"

    def _newest_first(self) -> list[Path]:
        return sorted(self.root.glob("step-*"), reverse=True)


def _read(folder: Path) -> ResumePoint:
    open_verified(folder, kind=_KIND)
    try:
        progress = Progress.model_validate_json((folder / _PROGRESS_FILE).read_bytes())
        log = (folder / _LOG_FILE).read_text(encoding="utf-8")
        return ResumePoint.from_flat(progress, load_file(folder / _TENSORS_FILE), log=log)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise IntegrityError(
            f"{folder}: not a resume point ({error}); nothing was loaded"
        ) from error
