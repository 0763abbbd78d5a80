"""An evaluation that is killed goes on with what it has, and reports the same to the bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmcore.content_store import ContentStore
from lmcore.evaluation import counts, evidence, kept_scores, questions
from lmcore.evaluation.evaluate import evaluate_model
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.kept_parts import KeptPart, KeptParts
from lmcore.evaluation.kept_scores import score_once
from lmcore.evaluation.report import EvalReport

pytestmark = pytest.mark.usefixtures("one_thread")


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def report(easy: Any, root: Path) -> EvalReport:
    challenge = Challenge(checkpoint=easy.checkpoint, champion=easy.as_champion())
    return evaluate_model(
        ContentStore(root), easy.corpus, challenge=challenge, gates=easy.gates, seed=3
    )


def content(found: EvalReport) -> dict[str, bytes]:
    """All but the manifest, which tells seconds."""
    files = sorted(found.path.iterdir())
    return {path.name: path.read_bytes() for path in files if path.name != "manifest.json"}


@pytest.mark.parametrize(
    ("module", "killed_at"),
    [
        (questions, "free_samples"),
        (evidence, "verbatim"),
        (counts, "measure_contamination"),
        (questions, "measure_pii"),
    ],
)
def test_a_killed_evaluation_asks_no_model_twice(
    easy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, killed_at: str
) -> None:
    unbroken = report(easy, tmp_path / "unbroken")

    def kill(*_: Any, **__: Any) -> None:
        raise KilledError

    root, asked = tmp_path / "killed", list[str]()
    with monkeypatch.context() as patch:
        patch.setattr(module, killed_at, kill)
        with pytest.raises(KilledError):
            report(easy, root)
    before = len(list((root / KeptPart.kind).glob("[!.]*")))
    assert before >= 2
    score = kept_scores.score_documents

    def counted(model: Any, *args: Any, **options: Any) -> Any:
        asked.append("documents")
        return score(model, *args, **options)

    monkeypatch.setattr(kept_scores, "score_documents", counted)
    again = report(easy, root)
    # The champion is scored behind the first of these.
    assert len(asked) == (1 if killed_at == "free_samples" else 0)
    assert list((root / KeptPart.kind).glob("[!.]*")) == []
    assert content(again) == content(unbroken)


def test_the_table_and_the_notes_are_those_of_scoring(easy: Any, tmp_path: Path) -> None:
    from lmcore.model.factory import load_model

    documents = list(easy.corpus.documents.iter_documents("validation"))
    model, tokenizer = load_model(easy.checkpoint.path / "best"), easy.corpus.loaded
    parts = KeptParts(store=ContentStore(tmp_path), inputs={})

    def scored(model: Any) -> tuple[Any, list[tuple[str, bytes, bytes]]]:
        notes = list[tuple[str, bytes, bytes]]()
        table = score_once(
            parts,
            "nats",
            model,
            tokenizer,
            lambda: iter(documents),
            on_progress=lambda done: None,
            on_scored=lambda d, ids, nats: notes.append((d.id, ids.tobytes(), nats.tobytes())),
        )
        return table, notes

    table, notes = scored(model)
    again, same = scored(None)  # nobody asks it
    assert same == notes
    assert len(notes) == len(documents)
    for name in ("id", "cluster", "num_bytes", "num_tokens", "nll_nats"):
        np.testing.assert_array_equal(getattr(table, name), getattr(again, name))
