"""What is timed is what is done, and nothing of the model is changed by it."""

import pytest
import torch
from pretrained_models import VOCAB_SIZE, library_tokenizer, make_base

from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.evaluation.budget.probe import Reader, measure_speeds
from lmcore.model.config import ModelConfig, PretrainedConfig
from lmcore.model.factory import new_model
from lmcore.model.language_model import Reading, learnt
from lmcore.model.pretrained import model as pretrained
from lmcore.model.pretrained.windows import cut
from lmcore.model.recurrent.model import RecurrentAttentionLM

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=8)


class Watched(RecurrentAttentionLM):
    """Notes the shape of whatever it reads."""

    def __init__(self):
        tokenizer = ByteTokenizer()
        super().__init__(CONFIG, tokenizer.vocab_size, tokenizer.end_id)
        self.shapes = set()
        self.eval()

    @property
    def reading(self):
        return Reading(lanes=3, chunk_tokens=16, written_lanes=5)

    def features(self, tokens, state=None, *, rng=None):
        self.shapes.add(tuple(tokens.shape))
        return super().features(tokens, state, rng=rng)


def reader():
    return Reader(model=Watched(), tokenizer=ByteTokenizer())


def reader_that_exists(folder):
    """A model of the library, with windows of 32 tokens."""
    tokenizer = BorrowedTokenizer(library_tokenizer().to_str(), vocab_size=VOCAB_SIZE, end_id=0)
    model = new_model(
        PretrainedConfig(pretrained="somewhere", context=32),
        vocab_size=VOCAB_SIZE,
        end_id=0,
        seed=0,
        device="cpu",
        base=make_base(folder).path,
    )
    return Reader(model=model.eval(), tokenizer=tokenizer)


def test_every_speed_is_measured_in_the_models_own_lanes():
    candidate, champion = reader(), reader()
    before = {name: tensor.clone() for name, tensor in learnt(candidate.model).items()}
    found = measure_speeds(candidate, ["some text of a document " * 20] * 9, champion=champion)
    assert min(found.score, found.step, found.write, found.draw, found.champion) > 0
    assert found.lanes == 5
    assert found.bytes_per_token == pytest.approx(1, rel=0.05)
    assert {(1, 1), (5, 1)} <= candidate.model.shapes
    assert max(length for _, length in candidate.model.shapes) == 16
    assert max(lanes for lanes, length in candidate.model.shapes if length > 1) <= 3
    assert all(torch.equal(before[n], t) for n, t in learnt(candidate.model).items())
    assert (5, 1) not in champion.model.shapes


def test_no_more_text_is_read_than_tells_the_speed():
    candidate = reader()
    measure_speeds(candidate, ["x" * 100_000] * 50)
    assert sum(lanes * length for lanes, length in candidate.model.shapes) < 1_000
    assert measure_speeds(reader(), [""]).champion is None


def test_a_model_that_exists_is_timed_beside_one_of_another_kind(tmp_path):
    candidate = reader_that_exists(tmp_path)
    found = measure_speeds(candidate, ["the cat sat on the mat " * 9] * 3, champion=reader())
    assert min(found.score, found.step, found.write, found.champion) > 0
    assert found.bytes_per_token > 1
    assert found.lanes == 32


def test_what_windows_repeat_is_timed_too(tmp_path, monkeypatch):
    read = []

    def watched(*args, **kwargs):
        segments, window = cut(*args, **kwargs)
        read.extend(segments)
        return segments, window

    monkeypatch.setattr(pretrained, "cut", watched)
    # A window of four chunks.
    monkeypatch.setattr(pretrained, "_CHUNK", 8)
    measure_speeds(reader_that_exists(tmp_path), ["the cat sat on " * 99] * 3)
    assert sum(segment.repeated for segment in read) > 0
