"""Every gate asked about the evidence of a language model.

In: what was scored.  Out: a result of each gate; one that missed a control cannot vote PASS.
"""

from __future__ import annotations

from lmcore.data.tokens.corpus import Corpus
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.beside import champion_beside, competence_beside
from lmcore.evaluation.config import GateName, GatesConfig
from lmcore.evaluation.gates.asking import Judge, ask
from lmcore.evaluation.gates.bias_lm import bias_lm
from lmcore.evaluation.gates.contamination import contamination
from lmcore.evaluation.gates.data_sufficiency import data_sufficiency
from lmcore.evaluation.gates.exposure import exposure
from lmcore.evaluation.gates.instrument import instrument, probe_language_model
from lmcore.evaluation.gates.overfitting import FitLimits, fit_of_language, overfitting
from lmcore.evaluation.gates.pii import pii
from lmcore.evaluation.gates.provenance import provenance
from lmcore.evaluation.gates.regurgitation import regurgitation
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.gates.standing import ControlRecord
from lmcore.evaluation.gathered import Evidence
from lmcore.evaluation.ownership import Ownership
from lmcore.evaluation.pii.evidence import PiiEvidence
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE
from lmcore.evaluation.statistics.resampling import Resampling


def judge(
    evidence: Evidence,
    corpus: Corpus,
    *,
    ownership: Ownership,
    stopped_early: bool,
    gates: GatesConfig,
    seed: int,
    record: ControlRecord,
) -> list[GateResult]:
    """Ask every gate; one that missed a control at its version cannot vote PASS.

    Args:
        evidence: What was scored.
        corpus: The data of this run.
        ownership: What was found out about who owns it.
        stopped_early: Whether training ended because it had stopped helping.
        gates: Limits, and which gates are required.
        seed: Of bootstraps and probes.
        record: What the controls said of the gates.
    """
    resampling = Resampling(seed=seed, resamples=gates.evaluation.resamples)
    compared = evidence.compared
    judges: dict[GateName, Judge] = {
        "instrument": lambda required: instrument(
            probe_language_model(
                evidence.model,
                tokenizer=corpus.loaded,
                tokenizer_facts=corpus.tokenizer.summary,
                documents=corpus.documents,
                scored=compared,
                texts=evidence.texts,
                probed=evidence.plan.limit("instrument_texts"),
                seed=seed,
            ),
            limits=gates.instrument,
            required=required,
        ),
        "provenance": lambda required: provenance(
            corpus.documents.summary, required=required, ownership=ownership
        ),
        "pii": lambda required: pii(_measured(evidence.pii), limits=gates.pii, required=required),
        "competence": lambda required: competence_beside(evidence, gates, required, resampling),
        "champion": lambda required: champion_beside(evidence, gates, required, resampling),
        "overfitting": lambda required: overfitting(
            fit_of_language(
                compared,
                evidence.train,
                reference=evidence.reference,
                final=evidence.final,
                stopped_early=stopped_early,
                membership=evidence.memorisation.membership,
            ),
            limits=FitLimits.of(gates, BITS_PER_BYTE),
            required=required,
            resampling=resampling,
        ),
        "contamination": lambda required: contamination(
            evidence.memorisation.contamination, limits=gates.contamination, required=required
        ),
        "regurgitation": lambda required: regurgitation(
            evidence.memorisation.regurgitation, limits=gates.regurgitation, required=required
        ),
        "exposure": lambda required: exposure(
            evidence.memorisation.exposure, limits=gates.exposure, required=required
        ),
        "bias_lm": lambda required: bias_lm(
            evidence.bias, limits=gates.bias_lm, required=required, resampling=resampling
        ),
        "data_sufficiency": lambda required: data_sufficiency(
            evidence.curve,
            limits=gates.data_sufficiency,
            required=required,
            resampling=resampling,
        ),
    }
    return ask(judges, gates=gates, record=record, plan=evidence.plan)


def _measured(evidence: PiiEvidence | None) -> PiiEvidence:
    if evidence is None:
        raise EmptyEvaluationError("nothing was measured")
    return evidence
