"""Documents to a tokenizer and token shards."""

from __future__ import annotations

import functools
import logging
from dataclasses import replace

from flows.home.environment import Home
from flows.home.signals import while_listening
from flows.progress.job import current
from flows.steps.progress import counting
from lmcore.config import RunConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.borrowing import adopt_tokenizer, borrow_tokenizer
from lmcore.data.tokens.canaries import CanarySet, plan_canaries
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.tasks.base_model import BaseModel
from lmcore.tasks.base_model import adopt_tokenizer as adopt_base_tokenizer
from lmcore.tasks.task import TASKS
from lmcore.training.start import Start

logger = logging.getLogger(__name__)


def tokenize_documents(
    config: RunConfig,
    documents: DocumentSet,
    home: Home,
    start: Start | None = None,
    base: BaseModel | None = None,
) -> Corpus:
    """Fit the tokenizer on the training text alone, then write shards, with canaries if asked.

    Examples of a task are counted and judged one by one, so there are no canaries among them.

    Args:
        config: The pipeline's configuration.
        documents: Their train and tune splits.
        home: Where the results go.
        start: Names the tokenizer that is kept, if one is, and what may not be emitted.
        base: A task that starts from a language model takes over its tokenizer.
    """
    store, task = home.store, TASKS[config.task]
    pretrained = start.pretrained if start is not None else None
    current().count("tokenizer")
    if base is not None:
        tokenizer = adopt_base_tokenizer(store, base)
    elif pretrained is not None:
        tokenizer = borrow_tokenizer(store, pretrained.path, pretrained.key)
    elif start is not None and start.tokenizer is not None:
        tokenizer = adopt_tokenizer(
            store, documents, config=config.tokenizer, folder=start.tokenizer
        )
    else:
        tokenizer = while_listening(
            functools.partial(
                fit_tokenizer,
                store,
                documents,
                config=config.tokenizer,
                with_targets=task.writes_text,
            )
        )
    planned = None
    if config.policy.canaries == "in_run" and task.is_language_model:
        planned = plan_canaries(documents, seed=config.training.seed)
    if start is not None and start.canaries:
        planned = replace(planned or CanarySet(key="none"), inherited=start.canaries)
    corpus = make_corpus(
        store, documents, tokenizer, canaries=planned, on_progress=counting("documents")
    )
    logger.info(
        "tokenize: %s, %s tokens in the vocabulary, %.2f bytes a token",
        tokenizer.summary["kind"],
        f"{tokenizer.summary['vocab_size']:,}",
        corpus.shards.summary["bytes_per_token"],
    )
    if may_lose := tokenizer.summary.get("may_lose"):
        logger.info(
            "tokenize: it may lose text (%s); the gate instrument looks whether it does",
            ", ".join(may_lose),
        )
    return corpus
