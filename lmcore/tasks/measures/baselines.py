"""What a task's model is held against: simple, honest, and trained on the same split.

* sentiment: the most frequent class; TF-IDF with logistic regression;
* translation: a word-for-word dictionary learned from the training pairs; the source as it is;
* summarization: one sentence of the source at random; its first one; its first three.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmcore.data.documents import Document, DocumentSet
from lmcore.data.text.words import join, sentences, words_and_signs
from lmcore.tasks.labels import Labels, normal
from lmcore.tasks.task import TRANSLATION, TaskName

# Examples that a baseline learns from, at most.
MAX_EXAMPLES = 200_000
_MAX_FEATURES = 300_000
_STRENGTHS = (0.5, 2.0, 8.0)
_MAX_PAIRS = 60_000
_MAX_WORDS = 60
_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class LabelBaselines:
    """Classes that simple models give to each judged text.

    Attributes:
        common: The most frequent class of train, always.
        linear: Of TF-IDF with logistic regression.
        linear_table: Its probabilities, [N, C].
    """

    common: Sequence[int]
    linear: Sequence[int]
    linear_table: np.ndarray


def label_baselines(
    train: Sequence[Document],
    tune: Sequence[Document],
    judged: Sequence[Document],
    labels: Labels,
) -> LabelBaselines:
    """What a classifier is held against, learnt from the same train split."""
    known = [d for d in tune if normal(d.target) in labels.names]
    linear, table = tfidf_regression(
        [d.text for d in train],
        labels.index(d.target for d in train),
        [d.text for d in known],
        labels.index(d.target for d in known),
        [d.text for d in judged],
        num_labels=len(labels),
    )
    return LabelBaselines(
        common=majority(labels.shares, len(judged)), linear=linear, linear_table=table
    )


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A simple writer.

    Attributes:
        name: For people.
        outputs: What it writes for each judged document.
    """

    name: str
    outputs: Sequence[str]


def written_baselines(
    task: TaskName, documents: DocumentSet, judged: Sequence[Document]
) -> dict[str, Writer]:
    """What a writer is held against by the prefix of its metrics; `baseline` has to be beaten."""
    texts = [d.text for d in judged]
    if task == TRANSLATION.name:
        train = list(documents.iter_documents("train"))
        dictionary = Dictionary([d.text for d in train], [d.target or "" for d in train])
        return {
            "baseline": Writer(
                name="a word-for-word dictionary learnt from the same pairs",
                outputs=[dictionary.translate(t) for t in texts],
            ),
            "baseline_copy": Writer(name="the source as it is", outputs=texts),
        }
    return {
        "baseline": Writer(
            name="a sentence of the source chosen at random",
            outputs=[random_sentence(d) for d in judged],
        ),
        "baseline_lead1": Writer(
            name="the first sentence of the source", outputs=[lead(t, 1) for t in texts]
        ),
        "baseline_lead3": Writer(
            name="the first three sentences", outputs=[lead(t, 3) for t in texts]
        ),
    }


def majority(shares: Sequence[float], count: int) -> list[int]:
    """The most frequent class of train, for every document."""
    return [int(np.argmax(shares))] * count


def tfidf_regression(
    train: Sequence[str],
    labels: Sequence[int],
    tune: Sequence[str],
    tune_labels: Sequence[int],
    texts: Sequence[str],
    *,
    num_labels: int,
) -> tuple[list[int], np.ndarray]:
    """Classes of `texts` by TF-IDF of words and pairs of words, with logistic regression.

    The strength of its regularization is chosen on the tune split, like the model's weights.

    Returns:
        Classes, and their probabilities [N, C].
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    train, labels = train[:MAX_EXAMPLES], labels[:MAX_EXAMPLES]
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        tokenizer=words_and_signs,
        token_pattern=None,
        max_features=_MAX_FEATURES,
    )
    try:
        known = vectorizer.fit_transform(train)
    except ValueError:  # no word in all of the text
        shares = np.bincount(labels, minlength=num_labels) / len(labels)
        return majority(shares.tolist(), len(texts)), np.tile(shares, (len(texts), 1))
    held, wanted = vectorizer.transform(tune), vectorizer.transform(texts)
    best, chosen = -1.0, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for strength in _STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=300)
            model.fit(known, labels)
            right = float(np.mean(model.predict(held) == np.asarray(tune_labels))) if tune else 0.0
            if right > best:
                best, chosen = right, model
    assert chosen is not None
    table = np.zeros((len(texts), num_labels))
    table[:, chosen.classes_] = chosen.predict_proba(wanted)
    return [int(c) for c in table.argmax(axis=1)], table


class Dictionary:
    """For each word of the source language the likeliest one of the target language.

    Learned by five rounds of IBM Model 1 (Brown et al. 1993), the simplest alignment there is. A
    word that was not seen is copied.

    Args:
        sources: Texts.
        targets: Their translations.
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        pairs = [
            (words_and_signs(source.lower())[:_MAX_WORDS], words_and_signs(target)[:_MAX_WORDS])
            for source, target in zip(sources[:_MAX_PAIRS], targets[:_MAX_PAIRS], strict=True)
        ]
        self._entries = _align([(s, t) for s, t in pairs if s and t])

    def translate(self, text: str) -> str:
        """Word for word, in the order of the source."""
        found = words_and_signs(text)
        return join(self._entries.get(word.lower(), word) for word in found)


def _align(pairs: Sequence[tuple[list[str], list[str]]]) -> dict[str, str]:
    if not pairs:
        return {}
    left = {w: i for i, w in enumerate(sorted({w for s, _ in pairs for w in s}))}
    right = {w: i for i, w in enumerate(sorted({w for _, t in pairs for w in t}))}
    codes, slots, slot = [], [], 0
    for source, target in pairs:
        own = np.array([left[w] for w in source], dtype=np.int64)
        for word in target:
            codes.append(own * len(right) + right[word])
            slots.append(np.full(len(own), slot, dtype=np.int64))
            slot += 1
    # One entry a possible link; links of the same two words share a probability.
    links, which = np.unique(np.concatenate(codes), return_inverse=True)
    place = np.concatenate(slots)
    word_of = links // len(right)
    chance = np.ones(len(links))
    for _ in range(_ROUNDS):
        weight = chance[which]
        weight /= np.bincount(place, weights=weight, minlength=slot)[place]
        counts = np.bincount(which, weights=weight, minlength=len(links))
        chance = counts / np.bincount(word_of, weights=counts, minlength=len(left))[word_of]
    names_left, names_right = list(left), list(right)
    best: dict[str, str] = {}
    # Sorted by word, then by probability: the last entry of a word is its likeliest.
    for index in np.lexsort((-links, chance, word_of)):
        best[names_left[word_of[index]]] = names_right[links[index] % len(right)]
    return best


def lead(text: str, count: int) -> str:
    """The first sentences of a text."""
    return " ".join(sentences(text)[:count])


def random_sentence(document: Document) -> str:
    """One sentence of a document, the same one in every run."""
    found = sentences(document.text)
    key = hashlib.sha256(f"sentence:{document.id}".encode()).digest()
    return found[int.from_bytes(key[:8], "big") % len(found)]
