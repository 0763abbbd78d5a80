"""Attention maps of a task's examples: which words of the text the model looks at.

In: a trained task, a text, its answer.  Out: an `AttentionMap` of words, averaged over heads and
attention layers.  A classifier is asked what its last position and all positions on average look
at, as both are pooled; a model that writes, what each word looked at when it was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.statistics.intervals import FloatArray
from lmcore.model.language_model import LanguageModel
from lmcore.tasks.judging.evidence import chosen_samples
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.learning.examples import Example, IntArray
from lmcore.tasks.learning.objectives import classifier_inputs
from lmcore.tasks.learning.streams import stream_batch
from lmcore.tasks.prediction import Predictor
from lmcore.training.step import to_tensor

START = "(start)"
WRITTEN = "(written so far)"
LAST, MEAN = "at the end", "on average"
# A longer text is shown with one row for the whole answer.
_MATRIX_WORDS = 30
# Of all layers and heads: half a gigabyte.
_MOST_SHARES = 1 << 27


@dataclass(frozen=True, kw_only=True)
class AttentionMap:
    """Who looks at what.

    Attributes:
        kind: Which example.
        readers: Of each row: words of the answer, or what looks.
        words: Of each column: words of the text, and what stands for the rest.
        shares: One list a row, one share a word; a row sums to one.
    """

    kind: str
    readers: Sequence[str]
    words: Sequence[str]
    shares: Sequence[Sequence[float]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, shares with four digits."""
        shares = [[round(value, 4) for value in row] for row in self.shares]
        return {**asdict(self), "shares": shares}


def attention_maps(
    predictor: Predictor, texts: Sequence[str], answers: Sequence[str], each: FloatArray
) -> list[dict[str, Any]]:
    """Of one of the best, of the middling and of the worst answers, as JSON values.

    Args:
        predictor: The trained task.
        texts: Its inputs.
        answers: What it answered.
        each: How good each answer is, [N].
    """
    chosen: dict[str, int] = {}
    for kind, place in chosen_samples(each):
        chosen.setdefault(kind, place)
    found = [
        attention_map(predictor, texts[place], answers[place], kind=kind)
        for kind, place in chosen.items()
    ]
    return [entry.to_json() for entry in found if entry is not None]


def attention_map(
    predictor: Predictor, text: str, answer: str, *, kind: str
) -> AttentionMap | None:
    """What a trained task looks at in one text; None where there is nothing to tell.

    That is where it has no attention, where there is no text, and where the text is so long that
    the shares of all layers and heads would fill the memory.

    Args:
        predictor: The trained task.
        text: Its input.
        answer: What it answered; of no use for a label.
        kind: Which example this is.
    """
    (example,) = predictor.encode([text])
    if not len(example.source):
        return None
    if isinstance(predictor.model, TextClassifier):
        return _of_label(predictor, predictor.model, example, kind)
    return _of_text(predictor, predictor.model, example, answer, kind)


def words(tokenizer: Tokenizer, ids: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Tokens put together to words: the text of each, and the places of its tokens.

    A word starts where white space does, and at the end of a run of letters and digits.
    """
    found: list[tuple[bytes, list[int]]] = []
    for place, identity in enumerate(ids):
        piece = tokenizer.pieces[identity]
        if found and _goes_on(found[-1][0], piece):
            found[-1] = (found[-1][0] + piece, [*found[-1][1], place])
        else:
            found.append((piece, [place]))
    return [(piece.decode("utf-8", errors="replace").strip(), at) for piece, at in found]


def _goes_on(before: bytes, piece: bytes) -> bool:
    """Whether a piece belongs to the word before it; parts of one character always do."""
    if not before or not piece:
        return False
    if piece[0] & 0b1100_0000 == 0b1000_0000:
        return True
    last, first = before[-1:], piece[:1]
    inside = [byte >= b"\x80" or byte.isalnum() for byte in (last, first)]
    return all(inside)


def _of_label(
    predictor: Predictor, model: TextClassifier, example: Example, kind: str
) -> AttentionMap | None:
    inputs, _ = classifier_inputs([example], end_id=predictor.tokenizer.end_id)
    shares = _mean_shares(model.language_model, inputs)
    if shares is None:
        return None
    columns = [(START, [0]), *_moved(predictor.tokenizer, example.source, by=1)]
    rows = np.stack([shares[-1], shares.mean(axis=0)])
    return _made(kind, [LAST, MEAN], columns, rows)


def _of_text(
    predictor: Predictor,
    model: LanguageModel,
    example: Example,
    answer: str,
    kind: str,
) -> AttentionMap | None:
    target = predictor.tokenizer.encode(answer.strip())
    if not target:
        return None
    whole = Example(
        source=example.source,
        target=np.array(target, dtype=np.int32),
        truncated=False,
        target_truncated=False,
    )
    batch = stream_batch(
        [whole],
        end_id=predictor.tokenizer.end_id,
        separator=predictor.record.separator,
        source_weight=0.0,
    )
    shares = _mean_shares(model, batch.inputs)
    if shares is None:
        return None
    length = len(example.source)
    columns = [
        (START, [0]),
        *_moved(predictor.tokenizer, example.source, by=1),
        (WRITTEN, list(range(length + 1, shares.shape[1]))),
    ]
    # A token is chosen at the place before it: the first one at the separator.
    written = _moved(predictor.tokenizer, target, by=length + 1)
    readers = [name for name, _ in written]
    rows = np.stack([shares[at].mean(axis=0) for _, at in written])
    if max(len(readers), len(columns)) > _MATRIX_WORDS:
        readers, rows = [MEAN], rows.mean(axis=0, keepdims=True)
    return _made(kind, readers, columns, rows)


@torch.no_grad()
def _mean_shares(model: LanguageModel, inputs: IntArray) -> FloatArray | None:
    """Over layers and heads, [T, T]; None without attention, or where a text is too long."""
    tokens = to_tensor(inputs, model.device)
    # What two tokens say tells how many layers and heads there are.
    heads = sum(layer.shape[1] for layer in model.attention_weights(tokens[:, :2]))
    if not heads or heads * tokens.shape[1] ** 2 > _MOST_SHARES:
        return None
    layers = [layer[0].mean(0) for layer in model.attention_weights(tokens)]
    if len(layers[0]) < tokens.shape[1]:  # the text does not fit into one window
        return None
    found: FloatArray = torch.stack(layers).mean(0).double().cpu().numpy()
    return found


def _moved(tokenizer: Tokenizer, ids: Any, *, by: int) -> list[tuple[str, list[int]]]:
    found = words(tokenizer, [int(identity) for identity in ids])
    return [(name, [place + by for place in at]) for name, at in found]


def _made(
    kind: str,
    readers: Sequence[str],
    columns: Sequence[tuple[str, Sequence[int]]],
    rows: FloatArray,
) -> AttentionMap:
    sums = np.stack([rows[:, at].sum(axis=1) for _, at in columns], axis=1)
    return AttentionMap(
        kind=kind, readers=readers, words=[name for name, _ in columns], shares=sums.tolist()
    )
