"""A version as a folder for programs that know nothing of lmcore.

In: the verified folder of a version, and the place of a new folder.  Out: the model, its tokenizer
and its card, as `transformers` reads them, as an ONNX graph or as a GGUF file.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Literal

import tokenizers

from lmcore.data.tokens.conversation import Conversations
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.data.tokens.vocabularies import LIBRARY_FILE
from lmcore.durable import atomic_write, fsync_directory
from lmcore.errors import UserError
from lmcore.model.exporting import export_file, export_graph, export_model
from lmcore.version_folder import VersionFolder

_END = "<|end|>"
_GENERATION_FILE = "generation_config.json"


Format = Literal["hf", "onnx", "gguf"]


def export_version(version: VersionFolder, out: Path, *, form: Format = "hf") -> list[str]:
    """Write the folder whole or not at all.

    Args:
        version: Of a language model.
        out: Must not exist, or be empty.
        form: `hf`: of the `transformers` library; `onnx`: one step as a graph; `gguf`: one file of
            llama.cpp.

    Returns:
        Names of its files.

    Raises:
        UserError: If it is there already, cannot be written, or the version is of a task or not
            of a kind that has this form.
        ConfigError: If the extra that the form needs is missing.
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
            _write(version, made, form)
            atomic_write(made / "README.md", version.card)
            if out.exists():
                out.rmdir()
            made.rename(out)
    except OSError as error:
        raise UserError(f"{out}: cannot write there ({error.strerror or error}).") from error
    fsync_directory(out.parent)
    return sorted(path.name for path in out.iterdir())


def _write(version: VersionFolder, out: Path, form: Format) -> None:
    model, folder = version.load_model(), version.path / "tokenizer"
    if form == "gguf":  # the one file holds the tokenizer as well
        export_file(model, tokenizers.Tokenizer.from_file(str(folder / LIBRARY_FILE)), out)
        return
    (export_model if form == "hf" else export_graph)(model, out)
    _write_tokenizer(version.load_tokenizer(), folder, out)


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
    if (talk := Conversations.of(tokenizer)) is not None:
        settings |= {"chat_template": talk.template.template}
        settings |= {"bos_token": talk.template.bos_token or end}
        settings |= {"eos_token": talk.template.eos_token or end}
        _end_turns(out / _GENERATION_FILE, [tokenizer.end_id, *sorted(talk.ends)])
    atomic_write(out / "tokenizer.json", source.to_str())
    atomic_write(out / "tokenizer_config.json", json.dumps(settings, indent=1))


def _end_turns(path: Path, ends: list[int]) -> None:
    """Have the library end an answer where a turn ends, and not only where a document does."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    atomic_write(path, json.dumps({**settings, "eos_token_id": ends}, indent=1))
