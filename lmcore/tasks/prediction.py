"""Answer inputs with a trained task: the one code path for evaluation, command line and server.

In: the folder of a task's weights, its tokenizer, texts.  Out: a `Prediction` for each text, in
order.  A text that is empty, too long or unlike all that was learnt from is answered too, and the
answer says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax

from lmcore.counted import counted, named
from lmcore.data.documents import Document
from lmcore.data.text.cleaning import UnusableTextError, clean
from lmcore.data.text.folding import is_blank
from lmcore.data.text.masking import DocumentMasking
from lmcore.data.tokens.batches import Batch
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.model.beam import BeamConfig, beam_search
from lmcore.model.factory import load_model
from lmcore.model.language_model import LanguageModel
from lmcore.tasks.learning.class_scores import OnAnswered, class_logits, nobody_asks, of_examples
from lmcore.tasks.learning.classifier import TextClassifier, load_classifier
from lmcore.tasks.learning.examples import Example, by_length, encode
from lmcore.tasks.learning.familiarity import Familiarity
from lmcore.tasks.learning.streams import stream_batch, stream_nats
from lmcore.tasks.record import TaskRecord, read_record

FloatArray = npt.NDArray[np.float64]

# Texts that are searched side by side, where the model has lanes for their hypotheses.
_TOGETHER = 32
# Where an output is bounded by its source: beyond the bound, for the shortest ones.
_MORE_TOKENS = 12


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one text.

    Attributes:
        input: The text as it was given.
        output: Label, translation or summary.
        probabilities: Of the labels by name; None where text was written.
        truncated: Whether the text was longer than the model reads, and was cut.
        note: What a person should know about this answer; empty where there is nothing.
        tokens: Tokens that were read.
    """

    input: str
    output: str
    probabilities: dict[str, float] | None
    truncated: bool
    note: str = ""
    tokens: int = field(default=0, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As `lmcore predict --json` and the server print it."""
        return {
            "input": self.input,
            "output": self.output,
            "probabilities": self.probabilities,
            "truncated": self.truncated,
            "note": self.note or None,
        }


class Predictor:
    """A trained task, loaded.

    Args:
        weights: Folder that training wrote.
        tokenizer: The one that it was trained with.
        masking: What is masked in an input, as it was in the training text; None: it is already.
        device: Where it runs.
    """

    def __init__(
        self,
        weights: Path,
        tokenizer: Tokenizer,
        *,
        masking: DocumentMasking | None = None,
        device: str = "cpu",
    ) -> None:
        self.masking = masking
        self.record: TaskRecord = read_record(weights)
        self.tokenizer = tokenizer
        self.model: TextClassifier | LanguageModel = (
            load_classifier(weights, device)
            if self.record.kind.chooses_label
            else load_model(weights, device)
        )
        self.familiarity = Familiarity.read(weights, vocab_size=tokenizer.vocab_size)

    def predict(
        self, texts: Sequence[str], *, on_answered: OnAnswered = nobody_asks
    ) -> list[Prediction]:
        """Answer each text; one that is empty, or no text at all, is answered as such.

        Args:
            texts: As they were given.
            on_answered: Told how many are answered, from time to time.
        """
        record = self.record
        cleaned, problems = _cleaned(texts)
        if self.masking is not None:
            cleaned = [self.masking.apply(text) for text in cleaned]
        examples = self.encode(cleaned)
        empty = [is_blank(text) for text in cleaned]
        if record.kind.chooses_label:
            outputs, probabilities = self._classes(examples, empty, on_answered)
        else:
            outputs = self._written(examples, empty, on_answered)
            probabilities = [None] * len(texts)
        found = []
        for text, example, output, chances, nothing, problem in zip(
            texts, examples, outputs, probabilities, empty, problems, strict=True
        ):
            found.append(
                Prediction(
                    input=text,
                    output=output,
                    probabilities=chances,
                    truncated=example.truncated,
                    note=self._empty_note(problem) if nothing else self._note(example),
                    tokens=len(example.source),
                )
            )
        return found

    def _empty_note(self, problem: str) -> str:
        says = problem or "the input is empty"
        return says + (": the answer is how often each label occurs" if self.record.labels else "")

    def _note(self, example: Example) -> str:
        notes = []
        if self.familiarity is not None and self.familiarity.unlike(example.source):
            notes.append(
                "the input is unlike the text that the model learnt from (another language?), so"
                " the answer may mean nothing"
            )
        if example.truncated:
            notes.append(
                f"only the first {counted(self.record.max_source_tokens, 'token')} of the input"
                f" {named(self.record.max_source_tokens, 'was', 'were')} read"
            )
        return "; ".join(notes)

    def encode(self, texts: Sequence[str]) -> list[Example]:
        """Texts as tokens, cut to the limit."""
        limit = self.record.max_source_tokens
        tokens = self.tokenizer.encode_batch(texts)
        return [
            Example(
                source=np.array(ids[:limit], dtype=np.int32),
                target=np.zeros(0, dtype=np.int32),
                truncated=len(ids) > limit,
                target_truncated=False,
            )
            for ids in tokens
        ]

    def pairs(self, documents: Sequence[Document]) -> list[Example]:
        """Texts with their targets as tokens, cut to the limits."""
        record = self.record
        return encode(
            documents,
            self.tokenizer,
            max_source=record.max_source_tokens,
            max_target=record.max_target_tokens,
        )

    def stream(self, pairs: Sequence[Example]) -> Batch:
        """Texts with their targets side by side, as the model reads and writes them."""
        return stream_batch(
            pairs,
            end_id=self.tokenizer.end_id,
            separator=self.record.separator,
            source_weight=0.0,
        )

    def target_nats(self, pairs: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """Nats of each token of a stream, and 1 where it is of the target, [B, T] each."""
        assert isinstance(self.model, LanguageModel)
        return stream_nats(self.model, self.stream(pairs))

    def probabilities(
        self, examples: Sequence[Example], *, on_answered: OnAnswered = nobody_asks
    ) -> FloatArray:
        """Of the classes, [N, C]."""
        assert isinstance(self.model, TextClassifier)
        end_id = self.tokenizer.end_id
        logits = class_logits(self.model, examples, end_id=end_id, on_answered=on_answered)
        found: FloatArray = softmax(logits / self.record.temperature, axis=1)
        return found

    def counted(self, examples: Sequence[Example]) -> list[int] | None:
        """What the counted words alone say; None where there are none."""
        assert isinstance(self.model, TextClassifier)
        counts = self.model.word_counts
        if counts is None:
            return None
        found = of_examples(counts.scores, examples, self.tokenizer.end_id, self.model)
        return [int(label) for label in found.argmax(axis=1)]

    def _classes(
        self, examples: Sequence[Example], empty: Sequence[bool], on_answered: OnAnswered
    ) -> tuple[list[str], list[dict[str, float] | None]]:
        labels = self.record.labels
        table = (
            self.probabilities(examples, on_answered=on_answered)
            if examples
            else np.zeros((0, len(labels)))
        )
        shares = np.array(self.record.shares)
        outputs: list[str] = []
        chances: list[dict[str, float] | None] = []
        for row, nothing in zip(table, empty, strict=True):
            values = shares if nothing else row
            outputs.append(labels[int(values.argmax())])
            chances.append(dict(zip(labels, map(float, values), strict=True)))
        return outputs, chances

    def _written(
        self, examples: Sequence[Example], empty: Sequence[bool], on_answered: OnAnswered
    ) -> list[str]:
        outputs = [""] * len(examples)
        wanted = [place for place, nothing in enumerate(empty) if not nothing]
        assert isinstance(self.model, LanguageModel)
        reading, answered = self.model.reading, 0
        # Each text takes as many lanes as it has hypotheses.
        together = max(1, min(_TOGETHER, reading.written // self.record.beam_size))
        for members in by_length([len(examples[i].source) for i in wanted], together=together):
            places = [wanted[member] for member in members]
            found = self._search([examples[i] for i in places])
            for place, text in zip(places, found, strict=True):
                outputs[place] = text
            answered += len(places)
            on_answered(answered)
        return outputs

    def _search(self, examples: Sequence[Example]) -> list[str]:
        record = self.record
        assert isinstance(self.model, LanguageModel)
        longest = max(len(example.source) for example in examples)
        limit = record.max_target_tokens
        if (growth := record.kind.max_growth) is not None:
            limit = min(limit, math.ceil(growth * longest) + _MORE_TOKENS)
        config = BeamConfig(
            beam_size=record.beam_size,
            max_tokens=limit,
            min_tokens=1,
            length_penalty=record.length_penalty,
            no_repeat_ngram_size=record.no_repeat_ngram_size,
        )
        prompts = [[*example.source.tolist(), record.separator] for example in examples]
        found = beam_search(self.model, prompts, config)
        # The separator is no text; a model that learnt anything never writes it.
        return [
            self.tokenizer.decode(t for t in best[0].tokens if t != record.separator).strip()
            for best in found
        ]


def _cleaned(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Texts cleaned as training text is, and what is wrong with those that are none."""
    found, problems = [], []
    for text in texts:
        try:
            found.append(clean(text).text)
            problems.append("")
        except UnusableTextError as error:
            found.append("")
            problems.append(f"the input cannot be read ({error})")
    return found, problems
