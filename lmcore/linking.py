"""A file that is another one too: linked where the file system can, else copied."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def link_or_copy(path: Path, target: Path) -> None:
    """Let a finished file, which nobody changes any more, stand in a second place.

    Args:
        path: The file.
        target: Where it is to stand; there must be nothing.

    Raises:
        FileNotFoundError: If the file is gone.
        OSError: If it cannot be copied either.
    """
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system that has no links, or a file that has too many
        shutil.copyfile(path, target)
