"""Gate `instrument`: can the measurement itself be believed?

A recurrent model with an attention that sees the future has superb bits per byte and passes
every other gate.  So before any score counts, the instrument is checked, exactly:

* future: changing later tokens changes no earlier prediction (causality);
* company: a document's score does not depend on what is scored beside or before it;
* stepwise: the score equals that of feeding one token at a time, as generation does; a shift
  between inputs and targets shows here;
* total: scores are log-probabilities, and the probabilities of all tokens sum to one;
* text: the tokenizer gives every text back, and never spells the end token;
* fit: the tokenizer was fitted on the train split of these documents;
* overlap: no train document is, or is a near-copy of, a scored one.

The first four are deviations in nats, held against one tolerance (rounding).  PASS: all hold.
Source: invariants of the model's definition; no statistics.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmcore.data.documents import Document, DocumentSet
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.config import InstrumentLimits
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.scores.scoring import score_tokens
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.model.language_model import RecurrentAttentionLM
from lmcore.model.loss import token_nll

NAME = "instrument"
PROBE_TOKENS = 192
PROBE_DOCUMENTS = 4
TEXT_DOCUMENTS = 64
TEXT_CHARACTERS = 20_000
SUM_TOKENS = 1_024
SUM_LOGITS = 1 << 22

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class InstrumentEvidence:
    """What was measured on the instrument.

    Attributes:
        future_nats: Largest change of an earlier log-probability by later tokens.
        company_nats: Largest change of a token's score by other documents, on average over it.
        stepwise_nats: Largest difference of a token's score to reading token by token, likewise.
        total_error: Largest distance of a score from a log-probability of a law that sums to one.
        texts_checked: Documents that went through the tokenizer and back.
        texts_changed: How many of them came back different, or spelled the end token.
        tokenizer_split: Split that the tokenizer was fitted on.
        tokenizer_documents: Key of the document set that it was fitted on.
        documents: Key of the document set that is scored.
        overlapping_documents: Train documents that are, or are near-copies of, scored ones.
        evaluation_hash: Digest of the scored documents' ids and sizes.
    """

    future_nats: float
    company_nats: float
    stepwise_nats: float
    total_error: float
    texts_checked: int
    texts_changed: int
    tokenizer_split: str
    tokenizer_documents: str
    documents: str
    overlapping_documents: int
    evaluation_hash: str


def instrument(
    evidence: InstrumentEvidence, *, limits: InstrumentLimits, required: bool
) -> GateResult:
    """Judge the evidence; a deviation that is not a number fails."""
    deviations = {
        "later text changes earlier predictions": evidence.future_nats,
        "a document's score depends on its neighbours": evidence.company_nats,
        "scores differ from reading token by token": evidence.stepwise_nats,
        "probabilities do not sum to one": evidence.total_error,
    }
    wrong = [
        f"{words} (by {size:.2g}, allowed {limits.tolerance:g})"
        for words, size in deviations.items()
        if not size <= limits.tolerance
    ]
    if evidence.texts_changed:
        wrong.append(
            f"the tokenizer changed {evidence.texts_changed} of {evidence.texts_checked} texts"
        )
    if evidence.tokenizer_split != "train" or evidence.tokenizer_documents != evidence.documents:
        wrong.append(
            f"the tokenizer was fitted on the {evidence.tokenizer_split} split"
            + (
                ""
                if evidence.tokenizer_documents == evidence.documents
                else " of other documents than these"
            )
            + ", not on these documents' train split"
        )
    if evidence.overlapping_documents:
        wrong.append(
            f"{evidence.overlapping_documents} train documents are copies of scored documents"
        )
    largest = max(deviations.values(), key=lambda size: np.inf if np.isnan(size) else size)
    return GateResult(
        gate=NAME,
        required=required,
        outcome="FAIL" if wrong else "PASS",
        value=largest,
        limit=limits.tolerance,
        unit="nats",
        reason=(
            f"The measurement cannot be trusted: {'; '.join(wrong)}."
            if wrong
            else "The measurement can be trusted: no text is seen before it is predicted, documents"
            f" do not influence each other, probabilities sum to one (all within {largest:.1g}),"
            " and the tokenizer knows train text only."
        ),
        evidence=asdict(evidence),
    )


def probe_instrument(
    model: RecurrentAttentionLM,
    *,
    tokenizer: Tokenizer,
    tokenizer_facts: Mapping[str, Any],
    documents: DocumentSet,
    scored: ScoreTable,
    texts: Sequence[Document],
    seed: int = 0,
) -> InstrumentEvidence:
    """Measure the instrument with a few texts.

    Args:
        model: In evaluation mode.
        tokenizer: The model's.
        tokenizer_facts: Summary of its handle: `split` and `fitted_on`.
        documents: The documents of this run.
        scored: Which of them are scored.
        texts: Some scored documents, at least one.
        seed: Of the tokens that replace others.
    """
    rng = np.random.default_rng(seed)
    tokens = [
        np.asarray(tokenizer.encode(document.text[: 8 * PROBE_TOKENS])[:PROBE_TOKENS], np.int64)
        for document in texts[:PROBE_DOCUMENTS]
    ]
    # Short documents alone would not reach beyond the attention's window.
    tokens.append(rng.integers(0, model.end_id, PROBE_TOKENS))
    clusters = set(scored.cluster)
    checked = texts[:TEXT_DOCUMENTS]
    return InstrumentEvidence(
        future_nats=_future(model, tokens, rng),
        company_nats=_company(model, tokens),
        stepwise_nats=_stepwise(model, tokens),
        total_error=_total(model, tokens[-1]),
        texts_checked=len(checked),
        texts_changed=sum(_is_changed(tokenizer, document) for document in checked),
        tokenizer_split=str(tokenizer_facts.get("split")),
        tokenizer_documents=str(tokenizer_facts.get("fitted_on")),
        documents=documents.key,
        overlapping_documents=sum(
            row["cluster"] in clusters or row["id"] in clusters
            for row in documents.iter_rows("train")
        ),
        evaluation_hash=scored.documents_hash(),
    )


@torch.inference_mode()
def _future(model: RecurrentAttentionLM, tokens: Sequence[IntArray], rng: Any) -> float:
    # One lane of all texts behind each other; in every other lane all after a cut is replaced.
    end = [model.end_id]
    stream = np.concatenate([np.concatenate([end, ids]) for ids in tokens[::-1]])[:PROBE_TOKENS]
    cuts = sorted({0, 1, len(stream) // 3, len(stream) // 2, max(0, len(stream) - 2)})
    lanes = np.tile(stream, (len(cuts) + 1, 1))
    for lane, cut in enumerate(cuts, start=1):
        lanes[lane, cut + 1 :] = rng.integers(0, model.vocab_size, len(stream) - cut - 1)
    logits, _ = model(torch.from_numpy(lanes).to(_device(model)))
    log_p = torch.log_softmax(logits.double(), -1)
    changes = [
        (log_p[lane, : cut + 1] - log_p[0, : cut + 1]).abs().max().item()
        for lane, cut in enumerate(cuts, start=1)
    ]
    return _largest(changes)


def _company(model: RecurrentAttentionLM, tokens: Sequence[IntArray]) -> float:
    alone = np.array([score_tokens(model, [ids])[0] for ids in tokens])
    sizes = np.array([len(ids) + 1 for ids in tokens])
    beside = score_tokens(model, tokens, lanes=len(tokens), chunk_tokens=37)
    behind = score_tokens(model, tokens, lanes=1)
    return _largest([np.abs(other - alone) / sizes for other in (beside, behind)])


@torch.inference_mode()
def _stepwise(model: RecurrentAttentionLM, tokens: Sequence[IntArray]) -> float:
    found = []
    for ids in tokens:
        state, nats = model.fresh_state(1), 0.0
        given = np.concatenate([[model.end_id], ids, [model.end_id]])
        for now, following in itertools.pairwise(given):
            logits, state = model(torch.tensor([[now]], device=_device(model)), state)
            nats -= torch.log_softmax(logits[0, 0].double(), -1)[following].item()
        found.append(abs(nats - score_tokens(model, [ids])[0]) / (len(ids) + 1))
    return _largest(found)


@torch.inference_mode()
def _total(model: RecurrentAttentionLM, ids: IntArray) -> float:
    """What the scorer says of up to 1,024 tokens at four positions, against a normalised law."""
    logits, _ = model(torch.from_numpy(ids[None]).to(_device(model)))
    targets = torch.arange(min(SUM_TOKENS, model.vocab_size), device=logits.device)
    errors = []
    for position in (0, 1, len(ids) // 2, len(ids) - 1):
        row = logits[0, position]
        nats = torch.cat(
            [
                token_nll(row.expand(1, len(part), -1), part[None])[0]
                for part in torch.split(targets, max(1, SUM_LOGITS // len(row)))
            ]
        ).double()
        law = torch.softmax(row.double(), -1)
        errors += [(nats + law[targets].log()).abs().max().item(), abs(law.sum().item() - 1.0)]
    return _largest(errors)


def _is_changed(tokenizer: Tokenizer, document: Document) -> bool:
    text = document.text[:TEXT_CHARACTERS]
    ids = tokenizer.encode(text)
    return tokenizer.end_id in ids or tokenizer.decode(ids) != text


def _largest(deviations: Sequence[Any]) -> float:
    # Not `max`, which would drop a NaN.
    return float(np.max(np.concatenate([np.atleast_1d(np.asarray(d)) for d in deviations])))


def _device(model: RecurrentAttentionLM) -> torch.device:
    return model.embedding.weight.device
