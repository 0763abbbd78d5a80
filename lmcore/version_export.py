"""A version as a folder for programs that know nothing of lmcore.

In: the verified folder of a version, and the place of a new folder.  Out: the model, its tokenizer
and its card as `transformers` reads them.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import tokenizers

from lmcore.artifacts import atomic_write, fsync_directory
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.data.tokens.vocabularies import LIBRARY_FILE
from lmcore.errors import UserError
from lmcore.model.exporting import export_model
from lmcore.version_folder import VersionFolder

_END = "<|end|>"


def export_version(version: VersionFolder, out: Path) -> list[str]:
    """Write the folder whole or not at all.

    Args:
        version: Of a language model.
        out: Must not exist, or be empty.

    Returns:
        Names of its files.

    Raises:
        UserError: If it is there already, cannot be written, or the version is of a task.
    """
    if version.is_task:
        raise UserError(
            "a version for sentiment, translation or summarization cannot be exported; export the"
            " language model that it was made from."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already; name a folder that does not exist.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            export_model(version.load_model(), made)
            _write_tokenizer(version.load_tokenizer(), version.path / "tokenizer", made)
            atomic_write(made / "README.md", version.card)
            if out.exists():
                out.rmdir()
            made.rename(out)
    except OSError as error:
        raise UserError(f"{out}: cannot write there ({error.strerror or error}).") from error
    fsync_directory(out.parent)
    return sorted(path.name for path in out.iterdir())


def _write_tokenizer(tokenizer: Tokenizer, folder: Path, out: Path) -> None:
    source = tokenizers.Tokenizer.from_file(str(folder / LIBRARY_FILE))
    end = source.id_to_token(tokenizer.end_id)
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    if end is None:
        # Our own tokenizers have no name for it, so that no text spells it.
        end = _END
        source.add_special_tokens([tokenizers.AddedToken(end, special=True, normalized=False)])
        assert source.token_to_id(end) == tokenizer.end_id, "the end token is not the last one"
        source.post_processor = tokenizers.processors.TemplateProcessing(
            single=f"{end} $A", special_tokens=[(end, tokenizer.end_id)]
        )
    settings |= {"bos_token": end, "eos_token": end}
    atomic_write(out / "tokenizer.json", source.to_str())
    atomic_write(out / "tokenizer_config.json", json.dumps(settings, indent=1))
