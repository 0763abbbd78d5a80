"""Reading a text costs what scoring it costs, while others are answered."""

import math

import numpy as np
import pytest
from language_models import language_model

from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.engine.ask import BusyError, ClosedError
from lmcore.engine.engine import Engine
from lmcore.engine.reading import bits_of
from lmcore.evaluation.scores.scoring import score_tokens


def test_bits_are_those_of_a_score_without_the_end() -> None:
    codec = ByteTokenizer()
    model = language_model("scratch", vocab_size=codec.vocab_size, end_id=codec.end_id)
    model.eval()
    text = "The water and the road. " * 30
    ids = codec.encode(text)
    counted = np.arange(len(ids) + 1) < len(ids)
    nats = score_tokens(model, [np.asarray(ids)], counted=[counted])[0]
    engine = Engine(lambda: model, codec)
    assert bits_of(engine, ids, text, seconds=60) == pytest.approx(nats / math.log(2), rel=1e-5)
    assert bits_of(engine, [], "", seconds=60) == 0
    engine.close()
    with pytest.raises(ClosedError):
        bits_of(engine, ids, text, seconds=60)


def test_where_too_many_wait_nothing_is_read() -> None:
    codec = ByteTokenizer()
    model = language_model("scratch", vocab_size=codec.vocab_size, end_id=codec.end_id)
    engine = Engine(lambda: model, codec, most_waiting=0)
    with pytest.raises(BusyError, match="wait already"):
        bits_of(engine, codec.encode("The"), "The", seconds=60)
    engine.close()
