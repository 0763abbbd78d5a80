"""Any language model as files that the `transformers` library loads.

Beside the factory the only place that knows both kinds; serving, which needs the factory, does not
bring along what only exporting needs.
"""

from __future__ import annotations

from pathlib import Path

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
