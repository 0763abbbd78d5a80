"""Controls of the gates `contamination`, `exposure` and `regurgitation`.

In: a bench.  Out: what the gates say of validation text that was copied into training, of canaries
that were read again and again, and of a document that was.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lmcore.controls.bench import (
    ROOMY,
    ControlBench,
    World,
    make_document,
    make_document_set,
)
from lmcore.controls.control import Control
from lmcore.controls.damage import repeated
from lmcore.data.documents import Document
from lmcore.data.tokens.canaries import NUM_PAIRS, plan_canaries
from lmcore.data.tokens.shards import write_shards
from lmcore.evaluation.gates.contamination import contamination
from lmcore.evaluation.gates.exposure import exposure
from lmcore.evaluation.gates.regurgitation import regurgitation
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.memory.contamination import measure_contamination
from lmcore.evaluation.memory.exposure import NUM_REFERENCES, Exposure, measure_exposure
from lmcore.evaluation.memory.membership import SideNotes
from lmcore.evaluation.memory.regurgitation import Regurgitation, free_samples, verbatim
from lmcore.evaluation.memory.suffix_array import train_index
from lmcore.evaluation.scores.scoring import score_documents, score_tokens
from lmcore.training.checkpoint import Checkpoint

_VALIDATION, _TRAIN, _WORDS = 400, 400, 150
_COPIED = 0.05
_HEADER = 40
_REPEATS, _REPEATED_CANARIES = 100, 64
_LONG_CORPUS = {"train": 100, "tune": 10, "validation": 100}
_LONG_WORDS = 420
_REPEATED_WORDS = 40
_DOCUMENT_REPEATS = 500


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


def copied_verbatim(bench: ControlBench) -> GateResult:
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


def exposure_of_canaries(bench: ControlBench, *, repeats: int) -> Exposure:
    """What the healthy model keeps of canaries that stand so often in its training text."""
    sound = bench.sound
    # A hundred copies of more would be most of the text.
    most = NUM_PAIRS if repeats == 1 else _REPEATED_CANARIES
    canaries = plan_canaries(sound.documents, seed=bench.seed, num_pairs=most, repeats=repeats)
    shards = write_shards(bench.store, sound.documents, sound.tokenizer, canaries=canaries)
    checkpoint = replace(sound, shards=shards).train()
    return measure_exposure(
        checkpoint.load("best").eval(),
        sound.loaded,
        canaries,
        stream=shards.stream("train"),
        ranges=checkpoint.consumed().ranges,
    )


def repeated_canaries(bench: ControlBench) -> GateResult:
    """Each canary stands 100 times in the training text."""
    found = exposure_of_canaries(bench, repeats=_REPEATS)
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
    nats = score_tokens(bench.healthy_model, tokens, lanes=bench.healthy_model.reading.short)
    count = len(canaries.pairs)
    found = Exposure(
        planted=count,
        inside=nats[:count],
        outside=nats[count : 2 * count],
        references=nats[2 * count :],
    )
    return exposure(found, limits=bench.gates.exposure, required=True)


def _extracted(bench: ControlBench, world: World, checkpoint: Checkpoint) -> GateResult:
    """Ask the gate about a checkpoint, as the evaluation step does."""
    model, limits = checkpoint.load("best").eval(), bench.gates.evaluation
    seen, unseen = SideNotes(world.loaded.pieces), SideNotes(world.loaded.pieces)
    score_documents(model, world.loaded, world.targets, on_scored=unseen.document)
    sample = world.consumed(checkpoint)
    sample.scored_by(model, on_scored=seen.of_sample(sample))
    drawn = free_samples(
        model, count=limits.free_samples, num_tokens=limits.free_sample_tokens, seed=bench.seed
    )
    index = train_index(bench.store, world.shards)
    longest, examples = verbatim(drawn, index, pieces=world.loaded.pieces)
    found = Regurgitation(
        train=seen.windows.windows(),
        held_out=unseen.windows.windows(),
        longest=longest,
        examples=examples,
    )
    return regurgitation(found, limits=bench.gates.regurgitation, required=True)


def _long_documents(bench: ControlBench) -> list[Document]:
    """Documents of about 24 windows each: enough to see a rate below the limit."""
    rng = bench.rng("regurgitation")
    return [
        make_document(bench.language.text(rng, words=_LONG_WORDS), split=split)
        for split, count in _LONG_CORPUS.items()
        for _ in range(count)
    ]


def repeated_document(bench: ControlBench) -> GateResult:
    """One document stands 500 times in the training text, as where nobody looked for copies."""
    documents = _long_documents(bench)
    again = make_document(bench.language.text(bench.rng("again"), words=_REPEATED_WORDS))
    world = bench.world([*documents, *repeated([again], times=_DOCUMENT_REPEATS)], model=ROOMY)
    return _extracted(bench, world, world.train(evaluations=1))


def read_once(bench: ControlBench) -> GateResult:
    """The same text without the copies."""
    world = bench.world(_long_documents(bench), model=ROOMY)
    return _extracted(bench, world, world.train())


CONTROLS = (
    Control(gate="contamination", name="5 % copied verbatim", kind="negative", run=copied_verbatim),
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
    Control(
        gate="regurgitation",
        name="one document repeated 500 times",
        kind="negative",
        run=repeated_document,
        cost_seconds=8.0,
    ),
    Control(
        gate="regurgitation",
        name="every document once",
        kind="healthy",
        run=read_once,
        cost_seconds=6.0,
    ),
)
