"""Any language model as files of other programs: of `transformers`, of ONNX, of llama.cpp.

Beside the factory the only place that knows both kinds; serving, which needs the factory, does not
bring along what only exporting needs.
"""

from __future__ import annotations

from pathlib import Path

import tokenizers

from lmcore.errors import UserError
from lmcore.model.language_model import LanguageModel
from lmcore.model.recurrent.exporting import export_recurrent
from lmcore.model.recurrent.model import RecurrentAttentionLM


def export_model(model: LanguageModel, folder: Path) -> None:
    """Write the files with which the `transformers` library loads a model, into a folder."""
    if isinstance(model, RecurrentAttentionLM):
        export_recurrent(model, folder)
        return
    from lmcore.model.pretrained.exporting import export_pretrained
    from lmcore.model.pretrained.model import PretrainedLM

    assert isinstance(model, PretrainedLM)
    export_pretrained(model, folder)


def export_file(model: LanguageModel, tokenizer: tokenizers.Tokenizer, folder: Path) -> None:
    """Write a model that was gone on from as one GGUF file, into a folder.

    Raises:
        UserError: If it is from random weights, or of an architecture without such a form.
    """
    if isinstance(model, RecurrentAttentionLM):
        raise UserError(
            "llama.cpp does not know this architecture; export it with --format hf or onnx."
        )
    from lmcore.model.pretrained.gguf_writing import GGUF_FILE, export_gguf
    from lmcore.model.pretrained.model import PretrainedLM

    assert isinstance(model, PretrainedLM)
    export_gguf(model, tokenizer, folder / GGUF_FILE)


def export_graph(model: LanguageModel, folder: Path) -> None:
    """Write a model as an ONNX graph of one step, into a folder.

    Raises:
        UserError: If it was gone on from one that exists.
        ConfigError: If the extra is missing.
    """
    from lmcore.model.recurrent.onnx_graph import export_onnx

    if not isinstance(model, RecurrentAttentionLM):
        raise UserError(
            "a model that was gone on from one that exists has no form of its own as ONNX; export"
            " it with --format hf, and that folder with the tools of its architecture."
        )
    export_onnx(model, folder)
