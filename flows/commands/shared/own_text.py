"""The text of a configuration as the pipeline prepares it, for commands that train without a flow.

The very steps of the pipeline are used, in the same content store, so neither repeats the other's
work.  Importing this module imports the steps.
"""

from __future__ import annotations

from flows.home.folders import Home
from flows.home.signals import StoppedError, stop_requested
from flows.steps.ingest_documents import fingerprint, ingest_documents
from flows.steps.tokenize_documents import tokenize_documents
from lmcore.config import RunConfig
from lmcore.data.tokens.corpus import Corpus


def prepare_text(config: RunConfig, home: Home) -> Corpus:
    """Documents, their tokenizer and their tokens.

    Raises:
        UserError: If a source is wrong.
        StoppedError: If the user stopped between two steps.
    """
    found = fingerprint(config)
    _ask()
    documents = ingest_documents(config, found, home)
    _ask()
    corpus = tokenize_documents(config, documents, home)
    _ask()
    return corpus


def _ask() -> None:
    if stop_requested():
        raise StoppedError("stopped; finished steps are kept, and the same command goes on")
