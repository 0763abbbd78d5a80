"""What a trained task answers: whatever the text is like, and in whatever company."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lmcore.controls.bench import make_document
from lmcore.data.text.masking import DocumentMasking
from lmcore.data.text.privacy import Masking
from lmcore.tasks.prediction import Predictor

ROWS = [(f"{'fine' if n % 2 else 'dull'} number {n}", "ny"[n % 2]) for n in range(60)]


@pytest.mark.slow
def test_a_classifier_answers_whatever_it_is_given_and_says_what_is_wrong(reviewed: Any) -> None:
    predictor = reviewed.predictor
    texts = ["he said that song number 7 was good and lovely .", "", "\ud800", "dull " * 400]
    told: list[int] = []
    good, empty, broken, long, strange = predictor.predict(
        [*texts, "Все счастливые семьи"], on_answered=told.append
    )
    assert told[-1] == 5
    assert "another language?" in strange.note
    assert good.output == "positive"
    assert sum(good.probabilities.values()) == pytest.approx(1)
    assert (good.truncated, good.note) == (False, "")
    assert "empty" in empty.note
    assert empty.output in ("positive", "negative")
    assert "cannot be read" in broken.note
    assert long.truncated
    assert "first 256 tokens" in long.note
    alone = predictor.predict(texts[:1])[0]
    assert alone.probabilities == pytest.approx(good.probabilities, abs=1e-5)


def test_nothing_is_answered_by_how_often_each_label_occurs(
    counting: Callable[..., Predictor],
) -> None:
    predictor = counting([*ROWS, *(("fine", "y") for _ in range(20))])
    (blank,) = predictor.predict([" \n "])
    assert blank.probabilities == pytest.approx({"n": 30 / 80, "y": 50 / 80})
    assert blank.output == "y"
    assert blank.note == "the input is empty: the answer is how often each label occurs"
    assert predictor.predict([]) == []
    (invisible,) = predictor.predict(["\u200b\u00ad"])
    assert invisible.note == blank.note


def test_a_temperature_flattens_probabilities_and_changes_no_answer(
    counting: Callable[..., Predictor],
) -> None:
    predictor = counting(ROWS)
    examples = predictor.encode(["fine number 3", "dull number 4"])
    before = predictor.probabilities(examples)
    predictor.record = predictor.record.model_copy(update={"temperature": 2.0})
    after = predictor.probabilities(examples)
    assert before.argmax(1).tolist() == after.argmax(1).tolist() == [1, 0]
    # Half of the log-odds.
    assert np.log(after[:, 1] / after[:, 0]) == pytest.approx(
        np.log(before[:, 1] / before[:, 0]) / 2
    )


def test_where_the_network_is_silent_counted_words_are_the_answer(
    counting: Callable[..., Predictor],
) -> None:
    predictor = counting(ROWS)
    examples = predictor.encode([text for text, _ in ROWS])
    answers = predictor.probabilities(examples).argmax(axis=1).tolist()
    assert predictor.counted(examples) == answers == [n % 2 for n in range(60)]


def test_texts_are_cut_to_the_limit_of_the_record(counting: Callable[..., Predictor]) -> None:
    predictor = counting(ROWS)
    whole, cut = predictor.encode(["a" * 64, "b" * 65])
    assert (len(whole.source), whole.truncated) == (64, False)
    assert (len(cut.source), cut.truncated) == (64, True)
    (told,) = predictor.predict(["fine " * 20])
    assert (told.truncated, told.tokens) == (True, 64)
    assert "only the first 64 tokens" in told.note


def test_an_output_is_no_longer_than_the_record_and_the_source_allow(
    untrained_writer: Predictor,
) -> None:
    # Random weights write on until they are stopped: 16 tokens by the record.
    long, none = untrained_writer.predict(["a long line of text to be translated", ""])
    assert (none.output, none.note, none.probabilities) == ("", "the input is empty", None)
    wide = untrained_writer.record.model_copy(update={"max_target_tokens": 60})
    assert len(untrained_writer.tokenizer.encode(long.output)) <= 16
    untrained_writer.record = wide
    (short,) = untrained_writer.predict(["ab"])
    # Twice the source of two tokens, and twelve more.
    assert len(untrained_writer.tokenizer.encode(short.output)) <= 16


def test_nats_are_counted_on_the_target_alone(untrained_writer: Predictor) -> None:
    pairs = untrained_writer.pairs(
        [make_document("ab", target="xyz"), make_document("abcdef", target=" z ")]
    )
    nats, weights = untrained_writer.target_nats(pairs)
    # The end of each target is one token of it.
    assert weights.sum(1).tolist() == [4, 2]
    for row, pair in enumerate(pairs):
        own, mask = untrained_writer.target_nats([pair])
        assert float((nats * weights)[row].sum()) == pytest.approx(
            float((own * mask).sum()), rel=1e-5
        )
    assert untrained_writer.stream(pairs).inputs[0, :4].tolist() == [256, *b"ab", 257]
    assert torch.isfinite(nats).all()


def test_an_input_is_read_as_the_training_text_was(counting: Callable[..., Predictor]) -> None:
    predictor = counting([*ROWS, *(("write to <EMAIL>", "y") for _ in range(30))])
    given, masked = "ann@example.org", "<EMAIL>"
    apart = predictor.predict([given, masked])
    predictor.masking = DocumentMasking(Masking())
    found = predictor.predict([given, masked])
    assert [answer.input for answer in found] == [given, masked]
    assert found[0].probabilities == found[1].probabilities == apart[1].probabilities
    assert apart[0].probabilities != apart[1].probabilities
