"""Documents to a tokenizer and token shards, as a Prefect task."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from prefect import task

from flows.environment import Home
from flows.retries import RETRY_IO
from lmcore.artifacts import ContentStore
from lmcore.config import RunConfig
from lmcore.data.canaries import plan_canaries
from lmcore.data.documents import DocumentSet
from lmcore.data.shards import ShardSet, write_shards
from lmcore.data.tokenizer import TokenizerHandle, fit_tokenizer
from lmcore.tasks.base import BaseModel, adopt_tokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tokenized:
    """A fitted tokenizer and the text that it cut."""

    tokenizer: TokenizerHandle
    shards: ShardSet


@task(name="tokenize", task_run_name="tokenize documents", timeout_seconds=24 * 3600, **RETRY_IO)
def tokenize_documents(
    config: RunConfig, documents: DocumentSet, home: Home, base: BaseModel | None = None
) -> Tokenized:
    """Fit the tokenizer on the training text alone, then write shards, with canaries if asked.

    A task that starts from a base model takes over its tokenizer; examples of a task are counted
    and judged one by one, so there are no canaries among them.
    """
    store = ContentStore(home.content)
    if base is not None:
        tokenizer = adopt_tokenizer(store, base)
    else:
        tokenizer = fit_tokenizer(
            store,
            documents,
            config=config.tokenizer,
            with_targets=config.task in ("translation", "summarization"),
        )
    planned = None
    if config.policy.canaries == "in_run" and config.task == "language_modelling":
        planned = plan_canaries(documents, seed=config.training.seed)
    shards = write_shards(store, documents, tokenizer, canaries=planned)
    logger.info(
        "tokenize: %s, %s tokens in the vocabulary, %.2f bytes a token",
        tokenizer.summary["kind"],
        f"{tokenizer.summary['vocab_size']:,}",
        shards.summary["bytes_per_token"],
    )
    return Tokenized(tokenizer=tokenizer, shards=shards)
