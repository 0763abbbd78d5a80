"""Published probes on data that the user gives by path: reported with their flaws, never gated.

In: a model and `evaluation.probes` of gates.yaml.  Out: JSON values for the report.  A probe whose
data cannot be used says so in its place: it judges nothing, so it stops nothing.  HONEST is not
among them: it looks continuations up in a lexicon that comes over the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.digests import sha256_file
from lmcore.errors import EmptyEvaluationError, UserError
from lmcore.evaluation.bias.crows_pairs import crows_pairs, read_pairs, spread_out
from lmcore.evaluation.bias.weat import read_word_lists, weat
from lmcore.evaluation.config import ProbePaths
from lmcore.model.language_model import LanguageModel


def run_probes(
    paths: ProbePaths,
    *,
    model: LanguageModel,
    tokenizer: Tokenizer,
    seed: int,
    most_pairs: int | None = None,
) -> dict[str, Any]:
    """Results by name of the probe; empty where no data is given.

    Args:
        paths: Where the data is.
        model: In evaluation mode.
        tokenizer: The one that it was trained with.
        seed: Of permutations.
        most_pairs: Sentences that differ, at most so many pairs; None: all.

    Returns:
        What the probe returns, or `problem`: why there is nothing to return.
    """
    known: dict[str, Callable[[Path], dict[str, Any]]] = {
        "crows_pairs": lambda path: crows_pairs(
            model, tokenizer, spread_out(read_pairs(path), most=most_pairs)
        ),
        "weat": lambda path: weat(model, tokenizer, read_word_lists(path), seed=seed),
    }
    found: dict[str, Any] = {}
    for name, path in paths.model_dump().items():
        if path is None:
            continue
        try:
            found[name] = known[name](Path(path))
        except (UserError, EmptyEvaluationError) as error:
            found[name] = {"problem": str(error)}
    return found


def probes_digest(paths: ProbePaths) -> dict[str, str]:
    """SHA-256 of each file that is given, so that another file is another evaluation."""
    digests = {}
    for name, path in paths.model_dump().items():
        if path is not None:
            digests[name] = sha256_file(Path(path)) if Path(path).is_file() else "missing"
    return digests
