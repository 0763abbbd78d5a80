"""Writers are judged alike in every language: the reference is promoted, nonsense is not."""

import random
from pathlib import Path

import numpy as np
import pytest
from declaration import ARTICLE_1, UNSPACED

from lmcore.content_store import ContentStore
from lmcore.controls.bench import make_document, make_document_set
from lmcore.data.documents import Document
from lmcore.data.text.words import words
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent, Margin, champion
from lmcore.evaluation.gates.competence import competence
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.gates.competence import bars_of_writer
from lmcore.tasks.measures.baselines import written_baselines
from lmcore.tasks.measures.metrics import of_written
from lmcore.tasks.task import TASKS, TaskName

LANGUAGES = ["ar", "bn", "hi", "ja", "ru", "ta", "th", "zh"]
_STOPS = {"hi": "।", "bn": "।", "zh": "。", "ja": "。", "th": ""}
GATES = GatesConfig.default()
HOW = Resampling(resamples=1000)


def sentence(rng: random.Random, language: str) -> str:
    vocabulary = sorted(set(words(ARTICLE_1[language])))
    blank = "" if language in UNSPACED else " "
    return blank.join(rng.choices(vocabulary, k=12)) + _STOPS.get(language, ".")


def pairs(task: TaskName, language: str) -> list[Document]:
    rng, found = random.Random(language), []
    codes = {w: f"w{i}" for i, w in enumerate(sorted(set(words(ARTICLE_1[language]))))}
    for number in range(160):
        said = [sentence(rng, language) for _ in range(3)]
        if task == "translation":
            # Another order of words: a dictionary knows them all and is not right.
            target = said[0]
            source = " ".join(reversed([codes[word] for word in words(target)])) + " ."
        else:
            target, source = said[0][:20] + said[2], " ".join(said)
        split = "train" if number < 100 else "validation"
        found.append(make_document(f"{source}\n{number}", split=split, target=target))
    return found


@pytest.mark.parametrize("task", ["translation", "summarization"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_that_repeats_the_reference_is_promoted_and_no_other(
    tmp_path: Path, task: TaskName, language: str
) -> None:
    documents = pairs(task, language)
    judged = [d for d in documents if d.split == "validation"]
    stored = make_document_set(ContentStore(tmp_path), documents)
    beside = written_baselines(task, stored, judged)

    def deciding(outputs: list[str]) -> Measured:
        name = TASKS[task].deciding.name
        return next(m for m in of_written(task, judged, outputs) if m.metric.name == name)

    bars = bars_of_writer(beside, {name: deciding(list(w.outputs)) for name, w in beside.items()})
    right = deciding([d.target or "" for d in judged])
    assert right.value == pytest.approx(100 if task == "translation" else 1)
    assert bars[0].measured.value < 0.9 * right.value
    assert competence(right, bars, required=True, resampling=HOW).outcome == "PASS"

    middling = deciding(
        [d.target or "" if n % 2 else beside["baseline"].outputs[n] for n, d in enumerate(judged)]
    )
    incumbent = Incumbent(version=1, measured=middling, known_ids=frozenset(right.id))

    def against_the_champion(challenger: Measured) -> str:
        return champion(
            challenger,
            incumbent,
            anchor=np.zeros(len(judged), dtype=np.bool_),
            margin=Margin.of(GATES, challenger.metric),
            required=True,
            resampling=HOW,
        ).outcome

    assert against_the_champion(right) == "PASS"
    marks = deciding([" ".join("\u093f\u0941\u0bbe\u0e31") * 10 for _ in judged])
    other = deciding([d.target or "" for d in reversed(judged)])
    for wrong in (marks, other):
        assert competence(wrong, bars, required=True, resampling=HOW).outcome != "PASS"
        assert against_the_champion(wrong) != "PASS"


def test_the_dictionary_writes_words_and_no_strings_of_vowel_signs(tmp_path: Path) -> None:
    documents = pairs("translation", "hi")
    judged = [d for d in documents if d.split == "validation"]
    beside = written_baselines(
        "translation", make_document_set(ContentStore(tmp_path), documents), judged
    )
    known = {word for d in documents for word in words(d.target or "")}
    written = [word for output in beside["baseline"].outputs for word in words(output)]
    # The number of the document is copied.
    assert {word for word in written if not word.isdecimal()} <= known
    assert all(output.count("।") == 1 for output in beside["baseline"].outputs)
