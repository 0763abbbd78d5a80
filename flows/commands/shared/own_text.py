"""The text of a configuration as the pipeline prepares it, for commands that train without a flow.

The very steps of the pipeline are used, in the same content store, so neither repeats the other's
work.  Importing this module imports the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flows.home.folders import Home
from flows.home.signals import StepInterrupted, StoppedError, interruptible
from flows.steps.import_model import import_model
from flows.steps.ingest_documents import fingerprint, ingest_documents
from flows.steps.tokenize_documents import tokenize_documents
from lmcore.config import RunConfig
from lmcore.data.tokens.corpus import Corpus
from lmcore.model.pretrained.base import Base
from lmcore.training.start import from_scratch


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a training begins with.

    Attributes:
        corpus: Documents, their tokenizer and their tokens.
        base: The imported model that the configuration names; None: random weights.
    """

    corpus: Corpus
    base: Base | None


def prepare_text(config: RunConfig, home: Home) -> Prepared:
    """Documents, their tokenizer and their tokens, and the model to begin with.

    Raises:
        UserError: If a source or the model is wrong.
        StoppedError: If the user stopped it.
    """
    try:
        with interruptible():
            base = import_model(config, home)
            documents = ingest_documents(config, fingerprint(config), home)
            begun = from_scratch("a trial, of which nothing is registered")
            start = replace(begun, pretrained=base)
            corpus = tokenize_documents(config, documents, home, start)
    except StepInterrupted as stop:
        raise StoppedError(
            "stopped; finished steps are kept, and the same command goes on"
        ) from stop
    return Prepared(corpus=corpus, base=base)
