"""Controls of the gates `contamination` and `exposure`: copied validation, repeated canaries."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lmcore.data.canaries import plan_canaries
from lmcore.data.documents import Document
from lmcore.data.shards import write_shards
from lmcore.evaluation.contamination import measure_contamination
from lmcore.evaluation.controls.bench import ControlBench, make_document, make_document_set
from lmcore.evaluation.controls.control import Control
from lmcore.evaluation.exposure import NUM_REFERENCES, Exposure, measure_exposure
from lmcore.evaluation.gates.contamination import contamination
from lmcore.evaluation.gates.exposure import exposure
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.scoring import score_tokens

_VALIDATION, _TRAIN, _WORDS = 400, 400, 150
_COPIED = 0.05
_HEADER = 40
_REPEATS = 100


def _texts(bench: ControlBench, count: int) -> list[str]:
    """Texts of random words, so that nothing but a copy is in two of them."""
    rng = bench.rng("contamination")
    return [" ".join(f"w{rng.randrange(5000)}" for _ in range(_WORDS)) for _ in range(count)]


def _contaminated(
    bench: ControlBench, copy: Callable[[str, random.Random], str] | None, *, header: str = ""
) -> GateResult:
    texts = [f"{header} {text}" for text in _texts(bench, _VALIDATION + _TRAIN)]
    validation, train = texts[:_VALIDATION], texts[_VALIDATION:]
    rng = bench.rng("copies")
    if copy is not None:
        for place in rng.sample(range(_VALIDATION), round(_COPIED * _VALIDATION)):
            train[place] = f"{train[place]} {copy(validation[place], rng)} {train[place - 1]}"
    documents: Sequence[Document] = [
        *(make_document(text, split="train") for text in train),
        *(make_document(text, split="validation") for text in validation),
    ]
    made = make_document_set(bench.store, documents)
    found = measure_contamination(
        made,
        validation=made.iter_documents("validation"),
        common_documents=bench.gates.evaluation.common_documents,
    )
    return contamination(found, limits=bench.gates.contamination, required=True)


def verbatim(bench: ControlBench) -> GateResult:
    """One validation text in twenty stands inside a train document."""
    return _contaminated(bench, lambda text, rng: text)


def recased(bench: ControlBench) -> GateResult:
    """The same in capitals, with other spaces and punctuation."""
    return _contaminated(bench, lambda text, rng: text.upper().replace(" ", ",  "))


def edited(bench: ControlBench) -> GateResult:
    """The same with every fifth word replaced, at random."""

    def edit(text: str, rng: random.Random) -> str:
        return " ".join(w if rng.random() > 0.2 else f"e{rng.randrange(999)}" for w in text.split())

    return _contaminated(bench, edit)


def clean(bench: ControlBench) -> GateResult:
    """No text is in two documents."""
    return _contaminated(bench, None)


def shared_header(bench: ControlBench) -> GateResult:
    """Every document begins with the same licence header."""
    rng = bench.rng("header")
    header = " ".join(f"licence{rng.randrange(99)}" for _ in range(_HEADER))
    return _contaminated(bench, None, header=header)


def repeated_canaries(bench: ControlBench) -> GateResult:
    """Each canary stands 100 times in the training text."""
    sound = bench.sound
    canaries = plan_canaries(sound.documents, seed=bench.seed, repeats=_REPEATS)
    shards = write_shards(bench.store, sound.documents, sound.tokenizer, canaries=canaries)
    checkpoint = replace(sound, shards=shards).train()
    found = measure_exposure(
        checkpoint.load("best").eval(),
        sound.loaded,
        canaries,
        stream=shards.stream("train"),
        ranges=checkpoint.consumed().ranges,
    )
    return exposure(found, limits=bench.gates.exposure, required=True)


def absent_canaries(bench: ControlBench) -> GateResult:
    """Canaries that never were in the training text are taken for read."""
    sound = bench.sound
    canaries = plan_canaries(sound.documents, seed=bench.seed)
    texts = [
        *canaries.texts,
        *(pair.outside for pair in canaries.pairs),
        *canaries.references(NUM_REFERENCES),
    ]
    tokens = [np.asarray(ids, dtype=np.int64) for ids in sound.loaded.encode_batch(texts)]
    nats = score_tokens(bench.healthy_model, tokens, lanes=256)
    count = len(canaries.pairs)
    found = Exposure(
        planted=count,
        inside=nats[:count],
        outside=nats[count : 2 * count],
        references=nats[2 * count :],
    )
    return exposure(found, limits=bench.gates.exposure, required=True)


CONTROLS = (
    Control(gate="contamination", name="5 % copied verbatim", kind="negative", run=verbatim),
    Control(gate="contamination", name="5 % copied, re-cased", kind="negative", run=recased),
    Control(gate="contamination", name="5 % copied, 20 % edited", kind="negative", run=edited),
    Control(gate="contamination", name="nothing copied", kind="healthy", run=clean),
    Control(gate="contamination", name="a shared header", kind="healthy", run=shared_header),
    Control(
        gate="exposure",
        name="canaries repeated 100 times",
        kind="negative",
        run=repeated_canaries,
        cost_seconds=8.0,
    ),
    Control(
        gate="exposure",
        name="canaries never inserted",
        kind="healthy",
        run=absent_canaries,
        cost_seconds=5.0,
        # The ranks alone give the alarm in up to one run of a hundred.
        tolerated=0.05,
    ),
)
