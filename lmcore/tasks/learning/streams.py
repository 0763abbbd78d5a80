"""Source and target of a task that writes, as one stream.

It is `<end> source <separator> target <end>`; what is learnt is the target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lmcore.data.tokens.batches import Batch
from lmcore.model.language_model import LanguageModel
from lmcore.tasks.learning.examples import Example, padded
from lmcore.training.step import to_tensor


def stream_nats(model: LanguageModel, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Nats and weight of each token of a batch, [B, T] each; without gradient."""
    device = model.device
    assert batch.weights is not None
    with torch.no_grad():
        features, _ = model.features(to_tensor(batch.inputs, device))
        nats = model.target_nll(features, to_tensor(batch.targets, device))
    return nats, torch.from_numpy(batch.weights).to(device)


def stream_batch(
    examples: Sequence[Example], *, end_id: int, separator: int, source_weight: float
) -> Batch:
    """Streams `<end> source <sep> target <end>` side by side, padded behind.

    The end behind a target that was cut counts nothing: it would teach to stop there.
    """
    rows, weights = [], []
    for example in examples:
        rows.append(
            np.concatenate([[end_id], example.source, [separator], example.target, [end_id]])
        )
        weight = np.ones(len(rows[-1]) - 1, dtype=np.float32)
        weight[: len(example.source) + 1] = source_weight
        if example.target_truncated:
            weight[-1] = 0.0
        weights.append(weight)
    together = np.zeros((len(rows), max(map(len, weights))), dtype=np.float32)
    for lane, weight in enumerate(weights):
        together[lane, : len(weight)] = weight
    return Batch(
        # The last end token is a target only; as an input it would start a document.
        inputs=padded([row[:-1] for row in rows], end_id=end_id),
        targets=padded([row[1:] for row in rows], end_id=end_id),
        fresh=True,
        weights=together,
    )
