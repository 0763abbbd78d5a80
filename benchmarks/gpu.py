"""One GPU: tinyshakespeare and WikiText-2, speed and model FLOPs utilisation.

    python -m benchmarks.gpu           about eight minutes
    python -m benchmarks.gpu --quick   some seconds of each

Two shapes get the same seconds of each text: LSTMs with an attention block, and gated linear
recurrences with two.

Without a CUDA device it says so and writes nothing. It needs torch with CUDA, numpy, pydantic,
safetensors, tokenizers, pyarrow and filelock; neither the orchestrator nor the tracking client.

Characters: the time until the loss over all of the validation text was first at or under 1.4697,
which nanoGPT publishes for its baby model after 3 minutes of one A100. The published figure is
of random windows of 256; ours is `cold256`, independent consecutive windows of 256, and beside it
`stateful`, which carries the state. Words: validation perplexity per token, as in
`benchmarks.words`. Training seconds are those of `benchmarks.ours`.

Model FLOPs of a token, forward and backward:

    6 * (weights of all matrices but a looked-up embedding) + 12 * A * H * D * window

for A attention layers with H heads of width D that look back on a full window; a matrix weight is
one multiplication and addition forward and two backward. What is computed besides (masks, norms,
keys beyond the window) does not count. Utilisation is FLOPs of a token * tokens per second /
peak, with the vendor's dense bfloat16 peak of the table below, or `--peak-tflops`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from benchmarks import characters, corpora, ours
from benchmarks.arithmetic import perplexity, time_to
from benchmarks.recording import parser, record, workspace
from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.corpus import Corpus
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.training.config import TrainingConfig

TARGET_NATS = 1.4697
# Dense bfloat16 (T4: float16) tensor-core peaks in TFLOP/s by the vendor's data sheets.
PEAK_TFLOPS = {
    "B200": 2250.0,
    "H200": 989.4,
    "H100 NVL": 835.0,
    "H100 PCIe": 756.0,
    "H100": 989.4,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10G": 70.0,
    "T4": 65.0,
}
CHARACTERS = {
    "LAL": ModelConfig(
        pattern="LAL", d_model=512, embedding_dim=64, num_heads=4, window=256, dropout=0.2
    ),
    "RRARRA": ModelConfig(
        pattern="RRARRA", d_model=512, embedding_dim=64, num_heads=4, window=256, dropout=0.2
    ),
}
CHARACTERS_TRAINING = {
    "batch_size": 64,
    "sequence_length": 256,
    "checkpoint_seconds": 3.0,
}
CHARACTERS_SECONDS = 30.0
WORDS = {
    "LAL": ModelConfig(
        pattern="LAL", d_model=768, embedding_dim=400, num_heads=6, window=256, dropout=0.5
    ),
    "RRARRA": ModelConfig(
        pattern="RRARRA", d_model=768, embedding_dim=400, num_heads=6, window=256, dropout=0.5
    ),
}
WORDS_TRAINING = {
    "batch_size": 64,
    "sequence_length": 128,
    "weight_decay": 0.1,
    "evaluations": 12,
    "checkpoint_seconds": 60.0,
}
WORDS_SECONDS = 120.0
LEARNING_RATES = {
    "characters": {"LAL": 4e-3, "RRARRA": 2e-3},
    "words": {"LAL": 2e-3, "RRARRA": 1.5e-3},
}
_QUICK_SECONDS = 5.0
_QUICK_CHARACTERS = 6000


def flops_per_token(model: RecurrentAttentionLM) -> int:
    """Forward and backward, by the formula above."""
    matrices = sum(p.numel() for p in model.parameters() if p.ndim >= 2)
    if not model.tied:
        matrices -= model.embedding.weight.numel()
    config = model.config
    layers = config.pattern.count("A")
    attention = layers * config.num_heads * config.head_dim * config.window
    return 6 * matrices + 12 * attention


def peak_of(name: str) -> float | None:
    """FLOP/s of a device by its name; None where the table has none."""
    known = next((key for key in PEAK_TFLOPS if all(w in name for w in key.split())), None)
    return None if known is None else PEAK_TFLOPS[known] * 1e12


def utilisation(done: ours.Training, model: RecurrentAttentionLM, peak: float | None) -> Any:
    """Model FLOPs utilisation of the training steps, and what it was computed from."""
    flops = flops_per_token(model)
    rate = done.checkpoint.summary["train_tokens_per_second"]
    return {
        "flops_per_token": flops,
        "tokens_per_second_of_steps": rate,
        "peak_tflops": None if peak is None else peak / 1e12,
        "utilisation": None if peak is None else flops * rate / peak,
    }


def train(
    folder: Path,
    corpus: Corpus,
    *,
    model: ModelConfig,
    training: dict[str, Any],
    device: str,
    snapshots: bool,
) -> ours.Training:
    """Train on the device."""
    return ours.run(
        ContentStore(folder / "store"),
        corpus,
        model=model,
        training=TrainingConfig(device=device, **training),
        work_dir=folder / f"work-{model.pattern}",
        snapshots=snapshots,
    )


def measure_characters(
    folder: Path, path: Path, *, seconds: float, device: str, peak: float | None, quick: bool
) -> dict[str, Any]:
    """Loss and the time to the published one, by pattern."""
    train_text, validation = corpora.characters(path)
    if quick:
        validation = validation[:_QUICK_CHARACTERS]
    config = TokenizerConfig(kind="char", vocab_size=512)
    store = ContentStore(folder / "store")
    corpus = corpora.prepare(store, train=[train_text], tokenizer=config)
    tokens = corpus.loaded.encode(validation)
    results: dict[str, Any] = {}
    for pattern, shape in CHARACTERS.items():
        rate = LEARNING_RATES["characters"][pattern]
        training = {**CHARACTERS_TRAINING, "learning_rate": rate, "budget_seconds": seconds}
        done = train(folder, corpus, model=shape, training=training, device=device, snapshots=True)
        model = done.checkpoint.load("final", device)
        curve = []
        for shot in done.snapshots:
            model.load_state_dict(dict(shot.weights))
            curve.append({"seconds": shot.seconds, "step": shot.step} | loss_of(model, tokens))
        model = done.checkpoint.load("final", device)
        results[pattern] = {
            "model": shape.model_dump(mode="json"),
            "training": training,
            **done.facts(),
            "losses": loss_of(model, tokens),
            "seconds_to_1.4697": {
                name: time_to([(p["seconds"], p[name]) for p in curve], TARGET_NATS)
                for name in ("cold256", "stateful")
            },
            "flops": utilisation(done, model, peak),
            "curve": curve,
        }
        print(json.dumps({**results[pattern], "curve": "..."}), flush=True)
    return results


def loss_of(model: RecurrentAttentionLM, tokens: list[int]) -> dict[str, float]:
    """The two readings that are published."""
    found = characters.losses(model, tokens)
    return {name: found[name] for name in ("cold256", "stateful")}


def measure_words(
    folder: Path, paths: tuple[Path, Path], *, seconds: float, device: str, peak: float | None
) -> dict[str, Any]:
    """Validation perplexity, by pattern."""
    lines = list(corpora.word_lines(paths[0]))
    validation = "".join(corpora.word_lines(paths[1]))
    cut = round(len(lines) * 0.99)
    corpus = corpora.prepare(
        ContentStore(folder / "store"),
        train=["".join(lines[:cut])],
        tune=["".join(lines[cut:])],
        fit=[*lines, validation],
        tokenizer=TokenizerConfig(kind="word", vocab_size=1 << 20),
    )
    tokens = corpus.loaded.encode(validation)
    results: dict[str, Any] = {}
    for pattern, shape in WORDS.items():
        rate = LEARNING_RATES["words"][pattern]
        training = {**WORDS_TRAINING, "learning_rate": rate, "budget_seconds": seconds}
        done = train(folder, corpus, model=shape, training=training, device=device, snapshots=False)
        model = done.checkpoint.load("best", device)
        nats = ours.stateful_nats(model, tokens)
        results[pattern] = {
            "model": shape.model_dump(mode="json"),
            "training": training,
            **done.facts(),
            "validation_targets": len(tokens) - 1,
            "perplexity": perplexity(nats * (len(tokens) - 1), len(tokens) - 1),
            "flops": utilisation(done, model, peak),
        }
        print(json.dumps(results[pattern]), flush=True)
    return results


def main() -> None:
    """Measure and write `benchmarks/results/gpu.json`."""
    options = parser(__doc__)
    options.add_argument("--peak-tflops", type=float, help="dense bfloat16 peak of this device")
    options.add_argument("--characters-seconds", type=float, default=CHARACTERS_SECONDS)
    options.add_argument("--words-seconds", type=float, default=WORDS_SECONDS)
    given = options.parse_args()
    if not torch.cuda.is_available():
        print("no GPU is here, so nothing was measured")
        return
    name = torch.cuda.get_device_name()
    peak = given.peak_tflops * 1e12 if given.peak_tflops else peak_of(name)
    results: dict[str, Any] = {"gpu": name, "cuda": torch.version.cuda}
    with workspace("gpu") as place:
        if path := corpora.find("tinyshakespeare/input.txt"):
            results["characters"] = measure_characters(
                Path(place) / "characters",
                path,
                seconds=_QUICK_SECONDS if given.quick else given.characters_seconds,
                device="cuda",
                peak=peak,
                quick=given.quick,
            )
        paths = corpora.find("wikitext2/train.txt"), corpora.find("wikitext2/valid.txt")
        if paths[0] and paths[1]:
            results["words"] = measure_words(
                Path(place) / "words",
                (paths[0], paths[1]),
                seconds=_QUICK_SECONDS if given.quick else given.words_seconds,
                device="cuda",
                peak=peak,
            )
    results["gpu_megabytes"] = torch.cuda.max_memory_allocated() / 1e6
    record("gpu", results, given)


if __name__ == "__main__":
    main()
