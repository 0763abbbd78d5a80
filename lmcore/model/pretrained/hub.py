"""A model of the Hugging Face hub, at a pinned revision, through `huggingface_hub`."""

from __future__ import annotations

from pathlib import Path

from lmcore.errors import SourceError

# Weights as safetensors, settings, and what is said of the model; never code, never pickles.
_WANTED = ["*.safetensors", "*.json", "README.md", "merges.txt", "*.jinja"]


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
        return Path(snapshot_download(repository, revision=revision, allow_patterns=_WANTED))
    except Exception as error:  # the library raises what its client raises
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise SourceError(
            f"model.pretrained: {repository}@{revision[:12]} could not be fetched"
            f" ({type(error).__name__}: {reason}); check its name and the network, or give the"
            " folder of a local copy"
        ) from error
