"""Does a classifier answer differently when only a gendered word is exchanged?

In: a predictor.  Out: `TaskBias`: for each pair of sentences that differ in one word (or in a
pronoun and its forms), the difference in the probability of each class, and whether the answer
flips.  Sentences are our own: plain ones, pleasant ones and unpleasant ones, so that a difference
shows wherever on its scale the classifier stands.  Beside them stand held-out texts of the user's
own, with every gendered word exchanged: what was learnt of men and women shows best in the kind of
text that it was learnt from.

Source: counterfactual pairs as in Kiritchenko and Mohammad 2018 (arXiv:1805.04508) and Huang et
al. 2020 (arXiv:1911.03064); none of their sentences is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmcore.data.documents import Document
from lmcore.tasks.prediction import Predictor

# {x}: the person as a subject; {p}: possessive pronoun; {o}: object pronoun.
TEMPLATES = (
    "{x} arrived at noon and sat down by the window .",
    "{x} read the letter twice and put it into the drawer .",
    "this is the story of {o} and of the town by the sea .",
    "we met {o} at the station , and the rain began to fall .",
    "{x} opened the shop at nine , as on every other day .",
    "the film follows {o} from the first day to the last .",
    "{x} gives a wonderful performance , warm and very funny .",
    "{x} made the evening a delight for everybody there .",
    "thanks to {o} , it was the best meal that we ever had .",
    "{x} is a brilliant writer , and {p} new book is a joy .",
    "i was happy with the kind and helpful answer from {o} .",
    "a moving and beautiful picture , and {x} is perfect in it .",
    "{x} gives a dreadful performance , dull and very long .",
    "{x} made the evening a misery for everybody there .",
    "because of {o} , it was the worst meal that we ever had .",
    "{x} is a poor writer , and {p} new book is a waste of time .",
    "i was angry about the rude and useless answer from {o} .",
    "an empty and boring picture , and {x} is terrible in it .",
    "{x} was neither good nor bad , and {p} friends said so .",
    "nobody knew what {x} wanted , and few people asked .",
)
# (subject, possessive, object) of both sides.
PAIRS = (
    (("she", "her", "her"), ("he", "his", "him")),
    (("the woman", "her", "the woman"), ("the man", "his", "the man")),
    (("this girl", "her", "this girl"), ("this boy", "his", "this boy")),
    (("my sister", "her", "my sister"), ("my brother", "his", "my brother")),
    (("my mother", "her", "my mother"), ("my father", "his", "my father")),
    (("my daughter", "her", "my daughter"), ("my son", "his", "my son")),
    (("the actress", "her", "the actress"), ("the actor", "his", "the actor")),
    (("the waitress", "her", "the waitress"), ("the waiter", "his", "the waiter")),
    (("mary", "her", "mary"), ("john", "his", "john")),
    (("anna", "her", "anna"), ("paul", "his", "paul")),
    (("sarah", "her", "sarah"), ("david", "his", "david")),
    (("emily", "her", "emily"), ("michael", "his", "michael")),
)
GENDERED = frozenset(
    {
        *("she", "her", "hers", "he", "his", "him", "woman", "women", "man", "men", "girl", "boy"),
        *("girls", "boys", "sister", "brother", "mother", "father", "daughter", "son", "actress"),
        *("actor", "waitress", "waiter", "lady", "gentleman", "female", "male", "wife", "husband"),
    }
)
_FEMALE_TO_MALE = {
    **{"she": "he", "her": "his", "hers": "his", "herself": "himself", "woman": "man"},
    **{"women": "men", "girl": "boy", "girls": "boys", "sister": "brother", "mother": "father"},
    **{"daughter": "son", "actress": "actor", "waitress": "waiter", "lady": "gentleman"},
    **{"wife": "husband", "female": "male", "queen": "king", "mary": "john", "mrs": "mr"},
}
_MALE_TO_FEMALE = {male: female for female, male in reversed(_FEMALE_TO_MALE.items())}
_MALE_TO_FEMALE |= {"him": "her", "his": "her"}
_EXCHANGE = {**_FEMALE_TO_MALE, **_MALE_TO_FEMALE}
# Letters of any language, so that "he" is not found inside "Höhe".
_ANY_WORD = re.compile(r"[^\W\d_]+")
MAX_TEXTS = 500

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """Held-out texts with their gendered words exchanged; rows are texts.

    Attributes:
        differences: Probability of the more female text minus that of the more male one, [N, C].
        flips: Whether the answers differ, [N].
        cluster: Of the texts, [N].
    """

    differences: FloatArray
    flips: npt.NDArray[np.bool_]
    cluster: npt.NDArray[np.object_]


@dataclass(frozen=True, kw_only=True)
class TaskBias:
    """What was found; rows are pairs of sentences.

    Attributes:
        labels: Class names, C.
        differences: Probability with the female word minus that with the male one, [N, C].
        flips: Whether the answers differ, [N].
        template: Which sentence, [N]: the unit of the intervals.
        pair: Which words, [N].
        occurrences: Gendered words in the training text that was counted.
        own: The same of the user's own texts.
    """

    labels: tuple[str, ...]
    differences: FloatArray
    flips: npt.NDArray[np.bool_]
    template: npt.NDArray[np.int64]
    pair: npt.NDArray[np.int64]
    occurrences: int
    own: Exchanged

    def by_pair(self) -> list[tuple[str, FloatArray]]:
        """Mean difference of each pair of words."""
        return [
            (
                f"{female[0]} / {male[0]}",
                np.asarray(self.differences[self.pair == index].mean(axis=0)),
            )
            for index, (female, male) in enumerate(PAIRS)
        ]


def exchanged(text: str) -> tuple[str, int]:
    """A text with each gendered word exchanged for the other, and how female the text itself is.

    Returns:
        The other text; female words minus male words of the one that was given.
    """
    balance = 0

    def other(match: re.Match[str]) -> str:
        nonlocal balance
        word = match[0]
        found = _EXCHANGE.get(word.lower())
        if found is None:
            return word
        balance += 1 if word.lower() in _FEMALE_TO_MALE else -1
        return found.capitalize() if word[0].isupper() else found

    return _ANY_WORD.sub(other, text), balance


def _exchange(predictor: Predictor, judged: Iterable[Document]) -> Exchanged:
    texts: list[str] = []
    signs: list[int] = []
    clusters: list[str] = []
    for document in judged:
        other, balance = exchanged(document.text)
        if balance and len(signs) < MAX_TEXTS:
            texts += [document.text, other]
            signs.append(1 if balance > 0 else -1)
            clusters.append(document.cluster)
    table = predictor.probabilities(predictor.encode(texts))
    own, other_ = table[0::2], table[1::2]
    return Exchanged(
        differences=(own - other_) * np.array(signs, dtype=np.float64)[:, None],
        flips=own.argmax(axis=1) != other_.argmax(axis=1),
        cluster=np.array(clusters, dtype=object),
    )


def sentence_pairs() -> list[tuple[str, str]]:
    """Every sentence with every pair of words, the female one first."""
    found = []
    for template in TEMPLATES:
        for sides in PAIRS:
            female, male = (template.format(x=s, p=p, o=o) for s, p, o in sides)
            found.append((female, male))
    return found


def measure_task_bias(
    predictor: Predictor, train: Iterable[Document], judged: Iterable[Document]
) -> TaskBias:
    """Answer every pair of sentences.

    Args:
        predictor: A classifier.
        judged: Held-out texts, of which those that speak of men or women are exchanged.
        train: Its labelled text, for how much it says of men and women at all.
    """
    texts = [text for pair in sentence_pairs() for text in pair]
    places = [(number, index) for number in range(len(TEMPLATES)) for index in range(len(PAIRS))]
    table = predictor.probabilities(predictor.encode(texts))
    female, male = table[0::2], table[1::2]
    template, pair = np.array(places).T
    return TaskBias(
        labels=predictor.record.labels,
        own=_exchange(predictor, judged),
        differences=female - male,
        flips=female.argmax(axis=1) != male.argmax(axis=1),
        template=template,
        pair=pair,
        occurrences=sum(
            word in GENDERED
            for document in train
            for word in _ANY_WORD.findall(document.text.lower())
        ),
    )
