"""Keep the tokenizer of a model that is gone on from, as the tokenizer of a run.

In comes the folder of the model; out comes a `TokenizerHandle`, so that shards, training and
scoring need not know where the tokenizer is from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmcore.artifacts import ContentStore, code_digest
from lmcore.data.tokens.borrowed import BASE_SPLIT, read_borrowed
from lmcore.data.tokens.tokenizer import CODE_MODULES, TokenizerHandle
from lmcore.errors import IntegrityError

_FACTS_FILE = "base.json"


def borrow_tokenizer(store: ContentStore, base_folder: Path, base_key: str) -> TokenizerHandle:
    """Keep the tokenizer of a model.

    Its summary says `split: base` and, in `fitted_on`, of which model; `may_lose` names the steps
    after which a text may be another one.

    Args:
        store: Where it is kept.
        base_folder: Holds `tokenizer.json`, and `base.json` with `vocab_size` and `end_id`.
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
