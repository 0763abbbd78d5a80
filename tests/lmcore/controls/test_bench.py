"""A bench makes everything from its seed, and makes it once."""

import pytest

from lmcore.content_store import ContentStore
from lmcore.controls.bench import (
    CORPUS,
    MODEL,
    ControlBench,
    make_document,
    make_document_set,
)
from lmcore.training.events import TrainingInterrupted

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_short_training_is_the_same_every_time(bench, tmp_path):
    again = ControlBench(seed=0, folder=tmp_path)
    assert again.sound.model == MODEL
    shorter = [w.train(max_steps=3).summary["weights_sha256"] for w in (bench.sound, again.sound)]
    assert shorter[0] == shorter[1]
    other = ControlBench(seed=1, folder=tmp_path)
    assert other.corpus[0].text != bench.corpus[0].text


def test_the_corpus_has_its_splits_and_every_second_validation_document_is_an_anchor(bench):
    counts = {s: sum(d.split == s for d in bench.corpus) for s in CORPUS}
    assert counts == CORPUS
    anchors = [d.anchor for d in bench.corpus if d.split == "validation"]
    assert anchors == [True, False] * (CORPUS["validation"] // 2)
    assert not any(d.anchor for d in bench.corpus if d.split != "validation")
    assert {d.num_bytes for d in bench.corpus} == {320}
    assert len({d.id for d in bench.corpus}) == len(bench.corpus)


def test_random_numbers_of_one_purpose_do_not_depend_on_others(tmp_path):
    one, other = (ControlBench(seed=s, folder=tmp_path) for s in (0, 1))
    first = one.rng("a").random()
    one.rng("b").random()
    assert one.rng("a").random() == first
    assert first != one.rng("b").random()
    assert first != other.rng("a").random()
    assert one.resampling.seed == 0
    assert one.resampling.resamples == one.gates.evaluation.resamples


def test_a_document_follows_from_its_text_and_facts_replace_single_fields():
    plain = make_document("né")
    assert (plain.num_bytes, plain.split, plain.anchor) == (3, "train", False)
    assert plain.id == plain.cluster == make_document("né", split="tune").id
    assert plain.id != make_document("ne").id
    assert make_document("né", id="x", cluster="y").cluster == "y"


def test_a_set_adds_up_its_licences_and_is_made_once(tmp_path):
    store = ContentStore(tmp_path)
    documents = [make_document("one"), make_document("three"), make_document("x", license="MIT")]
    found = make_document_set(store, documents, pii="mask")
    assert found.summary["licenses"] == {"CC0-1.0": 8, "MIT": 1}
    assert (found.summary["pii"], found.summary["blocked_licenses"]) == ("mask", [])
    assert list(found.iter_documents()) == documents
    assert make_document_set(store, documents, pii="mask").path == found.path
    assert make_document_set(store, documents, pii="off").path != found.path
    moved = [*documents[:2], make_document("x", license="MIT", split="tune")]
    assert make_document_set(store, moved, pii="mask").path != found.path


def test_a_world_samples_what_was_read_up_to_as_much_as_it_holds_out(bench):
    world = bench.sound
    assert [d.split for d in world.targets] == ["validation"] * CORPUS["validation"]
    checkpoint = world.train(max_steps=3)
    sample = world.consumed(checkpoint)
    # Three steps of sixteen lanes of 32 tokens touch a little of many documents.
    ranges = checkpoint.consumed().ranges
    assert sum(stop - start for start, stop in ranges) <= 3 * 16 * 32
    assert 0 < sum(fact.num_bytes for fact in sample.facts) <= 3 * 16 * 32 * 6
    reference = world.reference(sample)
    assert reference.validation.id.tolist() == [d.id for d in world.targets]
    table = world.scores(checkpoint.load("best").eval(), world.targets[:3])
    assert table.id.tolist() == [d.id for d in world.targets[:3]]


def test_a_world_of_other_documents_may_keep_the_tokenizer(bench):
    documents = [make_document("abcABC rstuvw" * 9), make_document("x", split="validation")]
    kept = bench.world(documents, tokenizer=bench.sound.tokenizer)
    assert kept.tokenizer == bench.sound.tokenizer
    assert kept.loaded.vocab_size == bench.sound.loaded.vocab_size
    assert [d.text for d in kept.targets] == ["x"]


def test_a_training_that_is_asked_to_stop_stops(bench):
    stopped = ControlBench(seed=0, folder=bench.folder, should_stop=lambda: True)
    with pytest.raises(TrainingInterrupted):
        stopped.sound.train(max_steps=4)
