"""A classifier on top of the language model: pooled top states, two small layers.

How they are pooled, `lmcore.tasks.learning.pooling` says.  Counted words (`WordCounts`) add their
own score.

Legend: B lanes, T tokens, e width of the features, C classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError
from lmcore.model.config import Pooling
from lmcore.model.factory import untrained
from lmcore.model.language_model import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    LanguageModel,
    learnt,
    restore,
)
from lmcore.model.state import State
from lmcore.tasks.learning.pooling import Standardised, last_and_mean, make_norm, pooled
from lmcore.tasks.learning.word_counts import WordCounts

HEAD_WIDTH = 64


class TextClassifier(nn.Module):
    """Language model, pooling, head, and counted words beside them.

    Args:
        language_model: Reads the text; its own head is not used.
        num_labels: C.
        word_counts: Counted words that have a say too.
        pooling: What is read of the states; None: what suits the model.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        num_labels: int,
        word_counts: WordCounts | None = None,
        pooling: Pooling | None = None,
    ) -> None:
        super().__init__()
        self.language_model = language_model
        self.num_labels = num_labels
        self.pooling = pooling or language_model.shape.habits.pooling
        self.norm, width = make_norm(self.pooling, language_model)
        self.hidden = nn.Linear(width, HEAD_WIDTH)
        self.out = nn.Linear(HEAD_WIDTH, num_labels)
        # From zero a narrow model takes hundreds of steps to leave the plateau of a guess.
        nn.init.normal_(self.out.weight, std=HEAD_WIDTH**-0.5)
        nn.init.zeros_(self.out.bias)
        self.word_counts = word_counts

    def forward(
        self,
        tokens: Tensor,
        present: Tensor,
        *,
        rng: torch.Generator | None = None,
        held_out: bool = False,
    ) -> Tensor:
        """Scores of the classes.

        Args:
            tokens: int64 [B, T], each lane starts with the end token and is padded behind.
            present: 1 for tokens, 0 for padding, float32 [B, T].
            rng: Source of dropout; None switches it off.
            held_out: Whether these are texts of the training, whose words were counted; see
                `WordCounts`.

        Returns:
            Logits [B, C], float32.
        """
        x = self._dropped(self.norm(self._pooled(tokens, present, rng)), rng)
        x = self._dropped(functional.relu(self.hidden(x)), rng)
        logits: Tensor = self.out(x).float()
        if self.word_counts is None:
            return logits
        counted: Tensor = self.word_counts(tokens, present, held_out=held_out)
        return logits + counted

    def _pooled(self, tokens: Tensor, present: Tensor, rng: torch.Generator | None) -> Tensor:
        read, _ = self.language_model.features(tokens, rng=rng)
        features = read.vectors.float()
        if self.pooling == "standard":
            return last_and_mean(features, present)
        return pooled(self.language_model, tokens, features, present)

    @torch.no_grad()
    def measure(self, texts: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Let training texts say how large what is pooled is, where that matters.

        Args:
            texts: Batches of tokens and presence, as `forward` takes them.
        """
        if isinstance(self.norm, Standardised):
            self.norm.fit(self._pooled(tokens, present, None) for tokens, present in texts)

    @torch.no_grad()
    def scale(self, *, network: float, words: float) -> None:
        """Multiply what the network says, and what counted words say."""
        self.out.weight.mul_(network)
        self.out.bias.mul_(network)
        if self.word_counts is not None:
            self.word_counts.trust.mul_(words)

    def _dropped(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        rate = self.language_model.dropout
        if rng is None or rate <= 0:
            return x
        keep = torch.empty_like(x, dtype=torch.float32).bernoulli_(1 - rate, generator=rng)
        return x * (keep / (1 - rate)).to(x.dtype)

    def depths(self) -> list[list[nn.Parameter]]:
        """Parameters from the top down: the head, each block, the embedding."""
        found = [*self.norm.parameters(), *self.hidden.parameters(), *self.out.parameters()]
        if self.word_counts is not None:
            found += self.word_counts.parameters()
        return [found, *self.language_model.depths()]


class ClassifierLoss(nn.Module):
    """Cross-entropy of the classes, in the shape of `lmcore.training.step.TrainingLoss`.

    Args:
        model: The classifier.
        held_out: Whether the texts are those that its words were counted in.
    """

    def __init__(self, model: TextClassifier, *, held_out: bool) -> None:
        super().__init__()
        self.model, self.held_out = model, held_out

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        state: State | None,
        rng: torch.Generator | None,
        weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, None]:
        """Sum of the nats of classes [B], their number, and no state."""
        assert weights is not None
        logits = self.model(inputs, weights, rng=rng, held_out=self.held_out)
        nats = functional.cross_entropy(logits, targets, reduction="sum")
        return nats, torch.tensor(float(len(targets)), device=nats.device), None


def save_classifier(model: TextClassifier, folder: Path) -> None:
    """Write `model.safetensors` and `model.json` into an existing folder."""
    weights = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in learnt(model).items()
    }
    save_file(weights, folder / WEIGHTS_FILE)
    record = {
        **model.language_model.record(),
        "schema_version": 1,
        "kind": "classifier",
        "num_labels": model.num_labels,
        "pooling": model.pooling,
        "word_counts": None if model.word_counts is None else len(model.word_counts.keys),
    }
    atomic_write(folder / CONFIG_FILE, json.dumps(record, indent=1))


def load_classifier(folder: Path, device: torch.device | str = "cpu") -> TextClassifier:
    """Read a model that `save_classifier` wrote, in evaluation mode.

    Raises:
        IntegrityError: If a file is missing or unreadable, or names and shapes do not fit.
    """
    path = folder / CONFIG_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["kind"] != "classifier":
            raise ValueError(f"kind {record['kind']!r}; expected 'classifier'")
        with torch.random.fork_rng(devices=[]):
            inner = untrained(record)
            labels, size = int(record["num_labels"]), record["word_counts"]
            counts = None if size is None else WordCounts(labels, inner.vocab_size, int(size))
            # Earlier versions do not say it.
            model = TextClassifier(inner, labels, counts, record.get("pooling", "wide"))
        path = folder / WEIGHTS_FILE
        restore(model, load_file(path))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).replace("\n", " ")[:300]
        raise IntegrityError(
            f"{path}: not a classifier that can be read ({type(error).__name__}: {reason});"
            " nothing was loaded. Restore the folder or train again"
        ) from error
    return model.to(device).eval()
