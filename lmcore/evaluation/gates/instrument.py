"""Gate `instrument`: can the measurement itself be believed?

A recurrent model with an attention that sees the future has superb bits per byte and passes
every other gate.  So before any score counts, the instrument is checked, exactly:

* future: changing later tokens changes no earlier prediction (causality);
* company: a document's score does not depend on what is scored beside or before it;
* stepwise: the score equals that of feeding one token at a time, as generation does; a shift
  between inputs and targets shows here;
* total: scores are log-probabilities, whatever the model says of itself: those of all tokens that
  could follow sum to one;
* text: the tokenizer gives every text back, and never spells the end token;
* fit: the tokenizer was fitted on the train split of these documents, or came with the model that
  was gone on from;
* overlap: no train document is, or is a near-copy of, a scored one.

The first four are deviations in nats, held against one tolerance (rounding).  PASS: all hold.
A task's model is asked the like by `lmcore.tasks.gates.instrument`, and judged here.
Source: invariants of the model's definition; no statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmcore.counted import counted, named
from lmcore.data.documents import Document, DocumentSet
from lmcore.data.tokens.borrowed import BASE_SPLIT
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.config import InstrumentLimits
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.gates.round_trip import changed, shortened
from lmcore.evaluation.scores.scoring import score_tokens
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.model.generation import inference
from lmcore.model.language_model import LanguageModel

NAME = "instrument"
PROBE_TOKENS = 192
PROBE_DOCUMENTS = 4
TEXT_DOCUMENTS = 64
# Of a vocabulary of up to 2,048 tokens all are asked for, of a larger one as many as bring so many
# logits, and at least some.
SUM_LOGITS, LEAST_SUM_TOKENS = 1 << 22, 256
CAME_WITH_BASE = (
    " The tokenizer came with the model that was gone on from: the text that it was made of is not"
    " known and may hold text like that which is scored here, which could make tokens longer, and"
    " changes neither what is predicted nor which bytes are counted."
)

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """What was measured on the instrument.

    Attributes:
        deviations: What would be wrong, in words, and by how many nats or how much probability.
        faults: What was found wrong that has no size.
        note: A further sentence for people.
        tokenizer: What is true of a tokenizer without fault, behind "the tokenizer".
        facts: Everything that was looked at, as JSON values.
    """

    deviations: Mapping[str, float]
    faults: Sequence[str]
    note: str = ""
    tokenizer: str = "knows train text only"
    facts: Mapping[str, Any]


def instrument(found: Instrument, *, limits: InstrumentLimits, required: bool) -> GateResult:
    """Judge what was measured; a deviation that is not a number fails."""
    wrong = [
        f"{words} (by {size:.2g}, allowed {limits.tolerance:g})"
        for words, size in found.deviations.items()
        if not size <= limits.tolerance
    ]
    wrong += found.faults
    worst = largest(list(found.deviations.values()))
    return GateResult(
        gate=NAME,
        required=required,
        outcome="FAIL" if wrong else "PASS",
        value=worst,
        limit=limits.tolerance,
        unit="nats",
        reason=(
            f"The measurement cannot be trusted: {'; '.join(wrong)}.{found.note}"
            if wrong
            else "The measurement can be trusted: nothing is seen before it is predicted, texts"
            f" do not influence each other, probabilities sum to one (all within {worst:.1g}),"
            f" and the tokenizer {found.tokenizer}.{found.note}"
        ),
        evidence={"deviations": dict(found.deviations), **found.facts},
    )


def probe_language_model(
    model: LanguageModel,
    *,
    tokenizer: Tokenizer,
    tokenizer_facts: Mapping[str, Any],
    documents: DocumentSet,
    scored: ScoreTable,
    texts: Sequence[Document],
    probed: int | None = None,
    seed: int = 0,
) -> Instrument:
    """Measure the instrument of a language model with a few texts.

    Args:
        model: In evaluation mode.
        tokenizer: The model's.
        tokenizer_facts: Summary of its handle: `split` and `fitted_on`.
        documents: The documents of this run.
        scored: Which of them are scored.
        texts: Some scored documents, at least one.
        probed: So many of them are read in every way that must agree, steps side by side as they
            are dear; None: as many as usual, each alone.
        seed: Of the tokens that replace others.
    """
    rng = np.random.default_rng(seed)
    tokens = [
        np.asarray(tokenizer.encode(document.text[: 8 * PROBE_TOKENS])[:PROBE_TOKENS], np.int64)
        for document in texts[: PROBE_DOCUMENTS if probed is None else probed]
    ]
    # Short documents alone would not reach beyond the attention's window.
    others = rng.integers(0, model.vocab_size - 1, PROBE_TOKENS)
    tokens.append(others + (others >= model.end_id))
    clusters = set(scored.cluster)
    checked = texts[:TEXT_DOCUMENTS]
    different = [pair for document in checked if (pair := changed(tokenizer, document)) is not None]
    overlapping = sum(
        row["cluster"] in clusters or row["id"] in clusters for row in documents.iter_rows("train")
    )
    split, fitted_on = str(tokenizer_facts.get("split")), str(tokenizer_facts.get("fitted_on"))
    faults = []
    if different:
        before, after = shortened(*different[0])
        faults.append(
            f"the tokenizer changed {len(different)} of {counted(len(checked), 'text')}: {before}"
            f" became {after}"
        )
    came = split == BASE_SPLIT
    if not came and (split != "train" or fitted_on != documents.key):
        elsewhere = "" if fitted_on == documents.key else " of other documents than these"
        faults.append(
            f"the tokenizer was fitted on the {split} split{elsewhere}, not on these documents'"
            " train split"
        )
    if overlapping:
        copies = named(overlapping, "is a copy", "are copies")
        faults.append(f"{counted(overlapping, 'train document')} {copies} of scored documents")
    with inference(model):
        deviations = {
            "later text changes earlier predictions": _future(model, tokens, rng),
            "a document's score depends on its neighbours": _company(model, tokens),
            "scores differ from reading token by token": _stepwise(
                model, tokens, together=probed is not None
            ),
            "probabilities do not sum to one": largest([total(model, ids) for ids in tokens]),
        }
    return Instrument(
        deviations=deviations,
        faults=faults,
        note=CAME_WITH_BASE if came else "",
        tokenizer="gives every text back" if came else Instrument.tokenizer,
        facts={
            "texts_checked": len(checked),
            "texts_changed": len(different),
            "text_changed": list(shortened(*different[0])) if different else None,
            "tokenizer_split": split,
            "tokenizer_documents": fitted_on,
            "documents": documents.key,
            "overlapping_documents": overlapping,
            "evaluation_hash": scored.documents_hash(),
        },
    )


def largest(deviations: Sequence[Any]) -> float:
    """The largest of numbers and arrays of them; NaN where one is, which `max` would drop."""
    return float(np.max(np.concatenate([np.atleast_1d(np.asarray(d)) for d in deviations])))


@torch.inference_mode()
def _future(model: LanguageModel, tokens: Sequence[IntArray], rng: Any) -> float:
    # One lane of all texts behind each other; in every other lane all after a cut is replaced.
    end = [model.end_id]
    stream = np.concatenate([np.concatenate([end, ids]) for ids in tokens[::-1]])[:PROBE_TOKENS]
    cuts = sorted({0, 1, len(stream) // 3, len(stream) // 2, max(0, len(stream) - 2)})
    lanes = np.tile(stream, (len(cuts) + 1, 1))
    for lane, cut in enumerate(cuts, start=1):
        lanes[lane, cut + 1 :] = rng.integers(0, model.vocab_size, len(stream) - cut - 1)
    features, _ = model.features(torch.from_numpy(lanes).to(model.device))
    # Of a large vocabulary, the logits of all positions would be gigabytes.
    step = max(1, SUM_LOGITS // (len(lanes) * model.vocab_size))
    changes = []
    for start in range(0, len(stream), step):
        log_p = torch.log_softmax(model.logits(features.at(start, start + step)).double(), -1)
        changes += [
            (log_p[lane, : cut + 1 - start] - log_p[0, : cut + 1 - start]).abs().max().item()
            for lane, cut in enumerate(cuts, start=1)
            if cut >= start
        ]
    return largest(changes)


def _company(model: LanguageModel, tokens: Sequence[IntArray]) -> float:
    alone = np.array([score_tokens(model, [ids])[0] for ids in tokens])
    sizes = np.array([len(ids) + 1 for ids in tokens])
    beside = score_tokens(model, tokens, lanes=len(tokens), chunk_tokens=37)
    behind = score_tokens(model, tokens, lanes=1)
    return largest([np.abs(other - alone) / sizes for other in (beside, behind)])


@torch.inference_mode()
def _stepwise(model: LanguageModel, texts: Sequence[IntArray], *, together: bool) -> float:
    """Largest difference of a text's nats a token from reading it one token at a time.

    Args:
        model: In evaluation mode.
        texts: Tokens of each.
        together: Side by side, which takes the steps of the longest instead of those of all.
    """
    end, found = model.end_id, []
    for group in [list(texts)] if together else [[ids] for ids in texts]:
        state, nats = model.stepping(model.fresh_state(len(group))), [0.0] * len(group)
        given = [np.concatenate([[end], ids, [end]]) for ids in group]
        for place in range(max(map(len, given)) - 1):
            now = [[ids[place] if place < len(ids) else end] for ids in given]
            logits, state = model(torch.tensor(now, device=model.device), state)
            for lane, ids in enumerate(given):
                if place + 1 < len(ids):
                    law = torch.log_softmax(logits[lane, 0].double(), -1)
                    nats[lane] -= law[ids[place + 1]].item()
        found += [
            abs(own - score_tokens(model, [ids])[0]) / (len(ids) + 1)
            for own, ids in zip(nats, group, strict=True)
        ]
    return largest(found)


@torch.inference_mode()
def total(model: LanguageModel, ids: IntArray) -> float:
    """How far scores are from the logarithms of probabilities that sum to one.

    The scorer is asked for each token that could follow, at four positions of a text.  Of a large
    vocabulary it is asked for the tokens of the text and the likeliest ones, and held against the
    normalised law of all.

    Args:
        model: In evaluation mode.
        ids: Tokens of the text, at least one.

    Returns:
        The largest difference in nats, or of the sum from one.
    """
    features, _ = model.features(torch.from_numpy(ids[None]).to(model.device))
    own = torch.from_numpy(np.unique(ids)).to(model.device)
    errors = []
    for position in sorted({0, min(1, len(ids) - 1), len(ids) // 2, len(ids) - 1}):
        here = features.at(position, position + 1)
        law = torch.log_softmax(model.logits(here)[0, 0].double(), -1)
        count = min(len(law), max(LEAST_SUM_TOKENS, SUM_LOGITS // len(law)))
        likely = law.topk(count).indices
        targets = torch.unique(torch.cat([own, likely]))
        nats = torch.cat(
            [
                model.target_nll(here.repeated(len(part)), part[:, None])[:, 0]
                for part in torch.split(targets, max(1, SUM_LOGITS // len(law)))
            ]
        ).double()
        found, wanted = (-nats).exp().sum(), law[targets].exp().sum()
        errors += [(nats + law[targets]).abs().max().item(), (found - wanted).abs().item()]
    return largest(errors)
