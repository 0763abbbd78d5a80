"""What determines an evaluation: the models, and what the champion knew of the documents."""

from pathlib import Path

import pytest

from lmcore.evaluation.inputs import Challenge, ChampionInput
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.trials.parts import PartModel


def checkpoint(key="c1", **summary):
    return Checkpoint(key=key, path=Path("/models") / key, summary=summary)


def champion(**changes):
    values = {"version": 4, "weights": Path("w"), "tokenizer": Path("t"), "key": "k"}
    return ChampionInput(**{**values, **changes})


@pytest.fixture
def documents(document, document_set):
    return document_set(
        [document("held out"), document("held out, too"), document("learnt from", split="train")]
    )


def test_only_what_it_knew_of_the_scored_documents_determines_an_evaluation(documents):
    first, second = (row["id"] for row in documents.iter_rows("validation"))
    (trained,) = (row["id"] for row in documents.iter_rows("train"))
    bare = champion().inputs(documents)
    elsewhere = champion(train_ids={trained, "x"}, known_ids={trained, "x"})
    assert elsewhere.inputs(documents) == bare
    knew = champion(known_ids={first}).inputs(documents)
    assert {name for name in bare if bare[name] != knew[name]} == {"knew"}
    assert knew != champion(known_ids={second}).inputs(documents)
    assert champion(known_ids={second, first}).inputs(documents) == champion(
        known_ids={first, second, trained}
    ).inputs(documents)
    trained_on = champion(train_ids={first}).inputs(documents)
    assert {name for name in bare if bare[name] != trained_on[name]} == {"trained_on"}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"version": 5}, "version"),
        ({"key": "other"}, "key"),
        ({"problem": "its folder was changed"}, "problem"),
        ({"removed": 2}, "removed"),
    ],
)
def test_each_fact_of_a_champion_makes_another_evaluation(documents, change, name):
    one, other = champion().inputs(documents), champion(**change).inputs(documents)
    assert [key for key in one if one[key] != other[key]] == [name]
    # Where its files lie is no part of it.
    moved = champion(weights=Path("elsewhere"), tokenizer=Path("there"))
    assert moved.inputs(documents) == one


def test_every_model_of_a_challenge_is_named(documents):
    alone = Challenge(checkpoint=checkpoint())
    assert alone.inputs(documents) == {
        "checkpoint": "c1",
        "champion": None,
        "parts": [],
        "unaided": None,
        "made_from": None,
    }
    part = PartModel(share=0.25, train_bytes=10, checkpoint=checkpoint("small"))
    whole = Challenge(
        checkpoint=checkpoint(),
        champion=champion(),
        parts=[part],
        unaided=champion(version=2),
    ).inputs(documents)
    assert whole["champion"] == champion().inputs(documents)
    assert whole["parts"] == [[0.25, "small"]]
    assert whole["unaided"]["version"] == 2


def test_last_weights_are_looked_at_where_they_are_not_the_best_ones():
    same = {"weights_sha256": "a", "final_weights_sha256": "a"}
    challenge = Challenge(checkpoint=checkpoint(**same))
    assert challenge.best == Path("/models/c1/best")
    assert challenge.last is None
    other = Challenge(checkpoint=checkpoint(**{**same, "final_weights_sha256": "b"}))
    assert other.last == Path("/models/c1/final")


@pytest.mark.parametrize(
    ("summary", "stopped"),
    [({}, False), ({"stopped_early": False}, False), ({"stopped_early": True}, True)],
)
def test_a_training_that_stopped_early_says_so(summary, stopped):
    assert Challenge(checkpoint=checkpoint(**summary)).stopped_early is stopped
