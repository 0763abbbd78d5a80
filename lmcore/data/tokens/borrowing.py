"""Keep the tokenizer of a model that is gone on from, as the tokenizer of a run.

In comes the folder of a model that exists, or of an earlier version's tokenizer; out comes a
`TokenizerHandle`, so that shards, training and scoring need not know where the tokenizer is from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.borrowed import BASE_SPLIT, KIND, read_borrowed
from lmcore.data.tokens.tokenizer import CODE_MODULES, Tokenizer, TokenizerHandle, load_tokenizer
from lmcore.digests import code_digest, sha256_file
from lmcore.errors import IntegrityError

if TYPE_CHECKING:
    from lmcore.data.documents import DocumentSet

_FACTS_FILE = "base.json"


def borrow_tokenizer(store: ContentStore, base_folder: Path, base_key: str) -> TokenizerHandle:
    """Keep the tokenizer of a model.

    Its summary says `split: base` and, in `fitted_on`, of which model; `may_lose` names the steps
    after which a text may be another one.

    Args:
        store: Where it is kept.
        base_folder: Holds `tokenizer.json`, and `base.json` with `vocab_size`, `end_id` and `chat`.
        base_key: Of that folder.

    Raises:
        IntegrityError: If the folder holds no tokenizer that can be used.
    """

    def make(folder: Path) -> Mapping[str, Any]:
        path = base_folder / _FACTS_FILE
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"{path}: does not say what model this is ({error}); delete the folder to have it"
                " made again"
            ) from error
        tokenizer = read_borrowed(base_folder, facts)
        tokenizer.save(folder)
        return {
            "kind": tokenizer.kind,
            "vocab_size": tokenizer.vocab_size,
            "fitted_on": base_key,
            "split": BASE_SPLIT,
            "may_lose": list(tokenizer.may_lose),
        }

    return store.build(
        TokenizerHandle, {"base": base_key, "code": code_digest(*CODE_MODULES)}, make
    )


def adopt_tokenizer(
    store: ContentStore, documents: DocumentSet, *, config: TokenizerConfig, folder: Path
) -> TokenizerHandle:
    """Keep a tokenizer that was fitted earlier, on documents that are all in the train split.

    It knows a part of the train split, like one that was fitted on a sample of it; that its
    documents are there is for the caller to check (`lmcore.training.start`).

    Args:
        store: Where the tokenizer goes.
        documents: Those of today.
        config: How it was configured then, and is now.
        folder: What `Tokenizer.save` wrote.

    Raises:
        IntegrityError: If the folder holds no tokenizer.
    """
    adopted = load_tokenizer(folder)
    inputs = {
        "documents": documents.key,
        "config": config.model_dump(mode="json"),
        "adopted": {path.name: sha256_file(path) for path in sorted(folder.glob("*.json"))},
        "code": code_digest(*CODE_MODULES),
    }

    def make(output: Path) -> Mapping[str, Any]:
        adopted.save(output)
        return {
            "kind": adopted.kind,
            "vocab_size": adopted.vocab_size,
            "fitted_on": documents.key,
            "split": split_of(adopted),
            "sampled": True,
            "adopted": True,
        }

    return store.build(TokenizerHandle, inputs, make)


def split_of(adopted: Tokenizer) -> str:
    """What a tokenizer that is taken over from another model was fitted on."""
    return BASE_SPLIT if adopted.kind == KIND else "train"
