"""Scoring of both sides counts the same targets and agrees with a model whose loss is known."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import corpora
from benchmarks.arithmetic import cut_windows
from benchmarks.ours import mean_nats, stateful_nats, windows_nats
from benchmarks.process_memory import peak_megabytes
from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.model.config import ModelConfig
from lmcore.model.loss import sequence_loss
from lmcore.model.recurrent.model import RecurrentAttentionLM

TOKENS = [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1]


def small_model() -> RecurrentAttentionLM:
    torch.manual_seed(0)
    config = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=32)
    model = RecurrentAttentionLM(config, 9, 8).eval()
    assert model.head is not None
    torch.nn.init.normal_(model.head.weight)
    return model


def test_a_model_that_knows_the_next_token_but_not_the_window() -> None:
    # Certain of token + 1, except that it gives nothing away at the first input of a window.
    def logits(inputs: Tensor, targets: Tensor) -> Tensor:
        scores = torch.nn.functional.one_hot(targets, 9).float() * 100
        scores[:, 0] = 0.0
        return scores

    for width, cold_starts in ((4, 4), (7, 2), (14, 1)):
        windows = cut_windows(len(TOKENS) - 1, width=width, stride=width)
        found = mean_nats(logits, TOKENS, windows, device="cpu")
        assert found == pytest.approx(cold_starts * math.log(9) / 14)


def test_carrying_the_state_is_one_window_over_everything() -> None:
    model = small_model()
    whole = cut_windows(len(TOKENS) - 1, width=100, stride=100)
    batch = torch.tensor([TOKENS])
    with torch.no_grad():
        loss = sequence_loss(model, batch[:, :-1], batch[:, 1:])
    expected = loss.sum_nll.item() / 14
    assert stateful_nats(model, TOKENS) == pytest.approx(expected, rel=1e-5)
    assert windows_nats(model, TOKENS, whole) == pytest.approx(expected, rel=1e-5)


def test_words_have_one_token_each_and_one_a_line_end(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text(" \n = Homarus = \n  a  <unk> é , \nlast", encoding="utf-8")
    assert corpora.num_word_tokens(path) == 1 + 4 + 5 + 2
    store = ContentStore(tmp_path / "store")
    lines = list(corpora.word_lines(path))
    corpus = corpora.prepare(
        store,
        train=["".join(lines)],
        fit=lines,
        tokenizer=TokenizerConfig(kind="word", vocab_size=1000),
    )
    loaded = corpus.loaded
    ids = loaded.encode("".join(lines))
    assert len(ids) == 12
    assert corpus.train_stream.read(0, 13).tolist() == [*ids, loaded.end_id]
    assert len(corpus.tune_stream) == 0


def test_missing_text_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LMCORE_SHARED_DATA", str(tmp_path))
    assert corpora.find("wikitext2/train.txt") is None
    printed = capsys.readouterr().out
    assert "skipped" in printed
    assert str(tmp_path) in printed


def test_peak_memory_sees_what_was_held() -> None:
    before = peak_megabytes()
    held = bytearray(round((before + 50) * 1e6))
    assert peak_megabytes() > before + 40
    assert len(held) > 0
