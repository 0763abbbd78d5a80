"""A candidate, its data, and the versions that it is judged beside."""

from dataclasses import replace
from typing import Any

import numpy as np

from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.inputs import Challenge, ChampionInput
from lmcore.evaluation.statistics.measured import Measured
from lmcore.tasks.measures.metrics import ACCURACY, mean_of
from lmcore.tasks.prediction import Predictor


def champion(reviewed: Any, **changes: Any) -> ChampionInput:
    weights, tokenizer = reviewed.checkpoint.path / "best", reviewed.corpus.tokenizer.path
    values = {"version": 4, "key": "k", "weights": weights, "tokenizer": tokenizer}
    return ChampionInput(**{**values, **changes})


def test_the_candidate_answers_with_the_weights_that_would_be_promoted(reviewed: Any) -> None:
    judging = reviewed.judging()
    texts = judging.texts[:3]
    found, wanted = judging.candidate().predict(texts), reviewed.predictor.predict(texts)
    assert [answer.probabilities for answer in found] == [a.probabilities for a in wanted]
    assert judging.tokenizer_split == "train"
    assert judging.resampling.resamples == reviewed.config.gates.evaluation.resamples
    rows = list(reviewed.corpus.documents.iter_rows("train"))
    assert judging.trained_on()["examples"] == len(rows)


def test_last_weights_are_read_where_they_are_others(reviewed: Any) -> None:
    facts = reviewed.checkpoint.summary
    for last, same in (("best", True), ("other", False)):
        changed = {**facts, "weights_sha256": "best", "final_weights_sha256": last}
        checkpoint = replace(reviewed.checkpoint, summary=changed)
        found = reviewed.judging(challenge=Challenge(checkpoint=checkpoint)).last()
        assert (found is None) is same


def test_what_was_learnt_from_are_train_documents_up_to_the_limit(reviewed: Any) -> None:
    gates = reviewed.config.gates
    limits = gates.tasks.model_copy(update={"max_train_documents": 7})
    found = reviewed.judging(gates=gates.model_copy(update={"tasks": limits})).learnt()
    assert len(found) == 7
    assert {document.split for document in found} == {"train"}


def test_a_champion_has_a_metric_where_all_documents_are_new_to_it(reviewed: Any) -> None:
    judging = reviewed.judging()
    documents = judging.judged
    measured = mean_of(ACCURACY, documents, np.ones(len(documents)))
    beaten = Incumbent(version=4, measured=measured)
    assert judging.champion_metric(beaten) == {"champion_accuracy": measured}
    assert judging.champion_metric(replace(beaten, train_ids={"another"})) != {}
    assert judging.champion_metric(replace(beaten, train_ids={documents[0].id})) == {}
    assert judging.champion_metric(replace(beaten, measured=None, problem="gone")) == {}
    assert judging.champion_metric(None) == {}


def test_a_version_that_is_both_is_asked_once(reviewed: Any) -> None:
    asked: list[Predictor] = []

    def measure(other: Predictor) -> Measured:
        asked.append(other)
        return mean_of(ACCURACY, judged, np.ones(len(judged)))

    judged = reviewed.judging().judged
    one, two = champion(reviewed), champion(reviewed, version=5)

    def beside(**models: ChampionInput) -> list[int | None]:
        asked.clear()
        challenge = Challenge(checkpoint=reviewed.checkpoint, **models)
        pair = reviewed.judging(challenge=challenge).beside(measure)
        return [None if found is None else found.version for found in pair]

    assert (beside(champion=one, unaided=one), len(asked)) == ([4, 4], 1)
    assert (beside(champion=one, unaided=two), len(asked)) == ([4, 5], 2)
    assert (beside(unaided=two), len(asked)) == ([None, 5], 1)
    assert (beside(champion=one), len(asked)) == ([4, None], 1)
    assert (beside(), len(asked)) == ([None, None], 0)
