"""A model of the Hugging Face hub, at a pinned revision, through `huggingface_hub`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from lmcore.errors import SourceError

# Weights as safetensors, settings, and what is said of the model; never code, never pickles.
_WANTED = ["*.safetensors", "*.json", "README.md", "merges.txt", "*.jinja"]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither bars nor a line for each try: what came of it is said once."""
    from huggingface_hub.utils.logging import get_verbosity, set_verbosity
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    verbosity, bars = get_verbosity(), not are_progress_bars_disabled()
    set_verbosity(logging.CRITICAL)
    disable_progress_bars()
    try:
        yield
    finally:
        set_verbosity(verbosity)
        if bars:
            enable_progress_bars()


def fetched(repository: str, revision: str) -> Path:
    """The folder of a model's files on this machine; what was fetched before is not fetched again.

    Args:
        repository: `owner/name`.
        revision: Commit hash.

    Raises:
        SourceError: If it cannot be reached or does not exist.
    """
    from huggingface_hub import snapshot_download

    try:
        with _quiet():
            return Path(snapshot_download(repository, revision=revision, allow_patterns=_WANTED))
    except Exception as error:  # the library raises what its client raises
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise SourceError(
            f"model.pretrained: {repository}@{revision[:12]} could not be fetched"
            f" ({type(error).__name__}: {reason}); check its name and the network, or give the"
            " folder of a local copy"
        ) from error
