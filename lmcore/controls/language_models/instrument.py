"""Controls of the gate `instrument`: measurements that must not be believed.

The broken instruments are the healthy model with one thing changed in how it is read, so nothing
but the fault distinguishes them.
"""

from __future__ import annotations

import copy
import functools
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmcore.controls.bench import (
    ControlBench,
    World,
    make_document,
    make_document_set,
)
from lmcore.controls.control import Control
from lmcore.controls.language_models.broken import (
    Broken,
    Forgetless,
    Hashed,
    HashedInDisguise,
    Lossy,
    Mixing,
    Peeking,
    Shifted,
    as_kind,
    unmasked,
)
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import Document
from lmcore.data.tokens.borrowed import BASE_SPLIT, BorrowedTokenizer
from lmcore.data.tokens.tokenizer import Tokenizer, fit_tokenizer
from lmcore.data.tokens.vocabularies import LIBRARY_FILE
from lmcore.evaluation.gates.instrument import instrument, probe_language_model
from lmcore.evaluation.gates.result import GateResult
from lmcore.model.language_model import LanguageModel
from lmcore.model.recurrent.model import RecurrentAttentionLM

_TEXTS = 8
_END = "<|end|>"


def judge(
    bench: ControlBench,
    *,
    model: LanguageModel | None = None,
    world: World | None = None,
    tokenizer: Tokenizer | None = None,
    facts: Mapping[str, Any] | None = None,
) -> GateResult:
    """Ask the gate about the healthy model with single parts replaced.

    Args:
        bench: Of the seed.
        model: Instead of the healthy one.
        world: Documents instead of the healthy ones.
        tokenizer: Instead of the healthy one.
        facts: Of the tokenizer's handle.
    """
    sound = world or bench.sound
    model = model or bench.healthy_model
    texts = _spread(sound.targets)
    evidence = probe_language_model(
        model,
        tokenizer=tokenizer or sound.loaded,
        tokenizer_facts=facts or sound.tokenizer.summary,
        documents=sound.documents,
        scored=bench.healthy_scores if world is None else sound.scores(model),
        texts=texts,
        seed=bench.seed,
    )
    return instrument(evidence, limits=bench.gates.instrument, required=True)


def hashed(bench: ControlBench, *, kind: type[Hashed]) -> GateResult:
    """The healthy model with a cache of hashed pairs of its training text."""
    model = as_kind(bench.healthy_model, kind)
    assert isinstance(model, Hashed)
    stream = bench.sound.train_stream
    model.count_pairs(stream.read(0, len(stream)))
    return judge(bench, model=model)


def _spread(targets: Sequence[Document]) -> list[Document]:
    return list(targets[:: max(1, len(targets) // _TEXTS)][:_TEXTS])


def read_by(kind: type[RecurrentAttentionLM]) -> Callable[[ControlBench], GateResult]:
    """A control whose model is the healthy one, read by a broken class."""

    def run(bench: ControlBench) -> GateResult:
        return judge(bench, model=as_kind(bench.healthy_model, kind))

    return run


def future_in_attention(bench: ControlBench) -> GateResult:
    """Attention without its mask."""
    return judge(bench, model=unmasked(bench.healthy_model))


def tokenizer_of_validation(bench: ControlBench) -> GateResult:
    """A tokenizer fitted on the very text that is scored."""
    sides = {"train": "validation", "validation": "train", "tune": "tune"}
    swapped = [
        make_document(document.text, split=sides[document.split]) for document in bench.corpus
    ]
    other = fit_tokenizer(
        bench.store,
        make_document_set(bench.store, swapped),
        config=TokenizerConfig(vocab_size=bench.sound.loaded.vocab_size),
    )
    tokenizer = other.load()
    model = bench.sound.untrained(tokenizer)
    return judge(bench, model=model, tokenizer=tokenizer, facts=other.summary)


def tokenizer_that_loses_text(bench: ControlBench) -> GateResult:
    """A tokenizer that does not give every text back."""
    return judge(bench, tokenizer=Lossy(bench.sound.loaded))


def borrowed(bench: ControlBench, *, lowering: bool) -> GateResult:
    """A tokenizer as another model brings it, and a model whose documents end with token 0.

    Args:
        bench: Of the seed.
        lowering: Whether it reads in lower case and a normal form of Unicode, as some do.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench.sound.loaded.save(Path(folder))
        record = json.loads((Path(folder) / LIBRARY_FILE).read_text(encoding="utf-8"))
    pieces = sorted(record["model"]["vocab"], key=record["model"]["vocab"].get)
    record["model"]["vocab"] = {piece: i for i, piece in enumerate([_END, *pieces])}
    if lowering:
        steps = [{"type": "NFKC"}, {"type": "Lowercase"}]
        record["normalizer"] = {"type": "Sequence", "normalizers": steps}
    tokenizer = BorrowedTokenizer(json.dumps(record), vocab_size=len(pieces) + 1, end_id=0)
    model = bench.sound.untrained(tokenizer)
    facts = {"split": BASE_SPLIT, "fitted_on": "another model"}
    return judge(bench, model=model, tokenizer=tokenizer, facts=facts)


def copy_in_train(bench: ControlBench) -> GateResult:
    """A near-copy of a scored document on the train side."""
    scored = next(document for document in bench.corpus if document.split == "validation")
    near = make_document(scored.text + " " + scored.text[:10], cluster=scored.cluster)
    world = bench.world([*bench.corpus, near], tokenizer=bench.sound.tokenizer)
    facts = {"split": "train", "fitted_on": world.documents.key}
    return judge(bench, world=world, facts=facts)


def healthy_model(bench: ControlBench) -> GateResult:
    """The healthy model as it is."""
    return judge(bench)


def any_weights(bench: ControlBench) -> GateResult:
    """A sound instrument is one whatever the weights: these are large and random."""
    model = copy.deepcopy(bench.healthy_model)
    rng = np.random.default_rng(bench.seed)
    with torch.no_grad():
        for parameter in model.parameters():
            values = rng.normal(0, 0.3, tuple(parameter.shape)).astype(np.float32)
            parameter.copy_(torch.from_numpy(values))
    return judge(bench, model=model)


def _negative(name: str, run: Callable[[ControlBench], GateResult]) -> Control:
    return Control(gate="instrument", name=name, kind="negative", run=run, cost_seconds=0.4)


def _healthy(name: str, run: Callable[[ControlBench], GateResult]) -> Control:
    return Control(gate="instrument", name=name, kind="healthy", run=run, cost_seconds=0.4)


CONTROLS = (
    _negative("attention without its mask", future_in_attention),
    _negative("logits one place too late", read_by(Shifted)),
    _negative("logits one place too early", read_by(Peeking)),
    _negative("lanes that mix", read_by(Mixing)),
    _negative("no reset between documents", read_by(Forgetless)),
    _negative("not a number", read_by(Broken)),
    _negative("cache of hashed pairs", functools.partial(hashed, kind=Hashed)),
    _negative(
        "cache of hashed pairs that shows a distribution",
        functools.partial(hashed, kind=HashedInDisguise),
    ),
    _negative("tokenizer fitted on validation", tokenizer_of_validation),
    _negative("tokenizer that loses text", tokenizer_that_loses_text),
    _negative("tokenizer that reads in lower case", functools.partial(borrowed, lowering=True)),
    _negative("copy of a scored document in train", copy_in_train),
    _healthy("healthy model", healthy_model),
    _healthy("random weights", any_weights),
    _healthy("tokenizer of another model", functools.partial(borrowed, lowering=False)),
)
