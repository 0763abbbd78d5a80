"""Every score that the gates need, of the documents that they need it for."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.evidence import Collector
from lmcore.evaluation.inputs import Challenge
from lmcore.model.factory import save_model
from lmcore.training.checkpoint import CONSUMED_FILE, Checkpoint
from lmcore.training.trials.parts import PartModel

pytestmark = pytest.mark.usefixtures("one_thread")


def collector(easy, challenge, **options):
    said = []
    limits = easy.gates.evaluation.model_copy(update=options)
    made = Collector(
        corpus=easy.corpus,
        challenge=challenge,
        limits=limits,
        on_progress=lambda *progress: said.append(progress),
    )
    return made, said


def test_evidence_has_a_table_for_each_model_that_was_scored(easy):
    part = PartModel(share=0.5, train_bytes=7, checkpoint=easy.checkpoint)
    challenge = Challenge(checkpoint=easy.checkpoint, champion=easy.as_champion(), parts=[part])
    made, said = collector(easy, challenge, free_samples=5)
    found = made.collect(easy.store)
    names = {"validation", "train", "champion", "reference-train", "reference-validation"}
    tables = found.tables()
    assert set(tables) - {"final"} == {*names, "kn5", "kn6", "kn8"}
    assert ("final" in tables) == (challenge.last is not None)
    ids = tables["validation"].id.tolist()
    assert ids == [row["id"] for row in easy.corpus.documents.iter_rows("validation")]
    for name in ("champion", "reference-validation", "kn5"):
        assert tables[name].id.tolist() == ids
    assert tables["reference-train"].id.tolist() == tables["train"].id.tolist()
    np.testing.assert_array_equal(tables["champion"].nll_nats, tables["validation"].nll_nats)
    # The part is the same model, so the curve is flat; the last point is the candidate itself.
    first, last = found.curve
    assert (first.share, first.train_bytes, last.share) == (0.5, 7, 1.0)
    assert last.train_bytes == easy.corpus.documents.num_bytes("train")
    np.testing.assert_array_equal(first.table.nll_nats, last.table.nll_nats)
    assert found.bias is None
    assert found.memorisation.exposure is None
    assert {"baseline", "score_train", "champion", "free_samples"} <= set(made.seconds)
    parts = ("validation", "champion", "50% of the text")
    assert {(part, 24, 24) for part in parts} <= set(said)
    scored = [progress for progress in said if progress[0] == "validation"]
    assert scored[0] == ("validation", 0, 24)
    assert [done for _, done, _ in scored] == sorted(done for _, done, _ in scored)
    # Whatever takes its time is named when it begins.
    assert {"baseline", "free samples", "contamination"} <= {part for part, _, _ in said}


def test_train_text_is_sampled_to_as_much_as_validation(easy):
    made, _ = collector(easy, Challenge(checkpoint=easy.checkpoint), free_samples=1)
    found = made.collect(easy.store)
    read = int(found.train.num_bytes.sum())
    largest = int(found.train.num_bytes.max())
    assert 0 <= read - int(found.compared.num_bytes.sum()) <= largest
    assert found.champion is None
    assert found.curve is None
    assert "champion" not in found.tables()


def test_train_text_is_read_as_far_as_it_was_learnt(easy, tmp_path):
    stops = [int(stop) for stop in easy.corpus.train_stream.doc_ends]
    starts = [0, *stops[:-1]]
    # The first half and a token of each document, as where many places are read in turn.
    learnt = [(a, (a + b) // 2 + 1) for a, b in zip(starts, stops, strict=True)]
    records = json.loads((easy.checkpoint.path / CONSUMED_FILE).read_text())
    records["best"]["ranges"] = learnt
    (tmp_path / CONSUMED_FILE).write_text(json.dumps(records))
    checkpoint = replace(easy.checkpoint, path=tmp_path)
    made, _ = collector(easy, Challenge(checkpoint=checkpoint))
    sample = made.sample
    assert len(sample.tokens) > 10
    # All that is read counts, but for the end that the scorer puts behind a part.
    assert [len(tokens) for tokens in sample.tokens] == [int(m.sum()) for m in sample.counted]


def test_a_large_validation_split_is_sampled_with_room_for_fresh_and_anchor(easy):
    gates = {"evaluation": {"resamples": 1000, "max_validation_bytes": 4000}}
    gates = GatesConfig.model_validate(gates)
    plain = easy.evaluate(gates=gates)
    assert 6 <= len(plain.scores("validation")) <= 8
    rows = list(easy.corpus.documents.iter_rows("validation"))
    champion = easy.as_champion(known_ids=frozenset(r["id"] for r in rows[:12]))
    compared = easy.evaluate(gates=gates, champion=champion)
    assert len(compared.scores("validation")) > len(plain.scores("validation"))
    # The reported value is over the uniform sample, so it does not depend on the champion.
    assert compared.metrics()["val_bits_per_byte"] == plain.metrics()["val_bits_per_byte"]


def test_weights_that_are_not_finite_are_an_error_not_a_verdict(easy, tmp_path):
    model = easy.checkpoint.load("best")
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    (tmp_path / "best").mkdir()
    save_model(model, tmp_path / "best")
    summary = {**easy.checkpoint.summary, "weights_sha256": "x", "final_weights_sha256": "x"}

    (tmp_path / CONSUMED_FILE).write_bytes((easy.checkpoint.path / CONSUMED_FILE).read_bytes())
    diverged = Checkpoint(key="diverged", path=tmp_path, summary=summary)
    with pytest.raises(EmptyEvaluationError, match="finite"):
        easy.evaluate(diverged)
