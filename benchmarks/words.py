"""Words of WikiText-2: ours against PyTorch's word_language_model example, in one run.

    python -m benchmarks.words --word-language-model PATH    about 65 minutes: 30 for each side
    python -m benchmarks.words                               ours alone, about 33 minutes
    python -m benchmarks.words --pointer                     ours, copying from its window as well
    python -m benchmarks.words --quick [--word-language-model PATH]    check that it works

Both sides read the words as they are given, split at white space, and one token for each line
end; the vocabulary is that of the train and the validation text. Both train for `--minutes` of
wall clock on all cores; loading the text and the final evaluation are not counted, whatever else
they do is: ours its probe, looks at the tune split and resume points, the example its evaluation
after each epoch.

The example runs with its default options (an LSTM of 2 x 200). It sees the validation text
after each epoch, to keep its best epoch and to lower its learning rate; ours never does: the last
hundredth of the train text is its tune split. Where the example asks for test.txt it is given a
copy of the validation text.

Perplexity is per token over exactly the same targets, all of the validation text but its first
token, in float32, read in one lane with the state carried from beginning to end. Our vocabulary
holds 257 ids more (bytes, end of document); they cost us probability and are not taken out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import corpora, ours
from benchmarks.arithmetic import perplexity
from benchmarks.recording import NOT_RUN, parser, record, workspace
from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.model.config import ModelConfig
from lmcore.training.config import TrainingConfig

MINUTES = 30.0
TUNE_SHARE = 0.01
MODEL = ModelConfig(
    pattern="LA",
    d_model=384,
    num_heads=4,
    head_dim=64,
    window=256,
    mlp_multiple=2,
    dropout=0.15,
)
TRAINING = {
    "batch_size": 32,
    "sequence_length": 64,
    "learning_rate": 3e-3,
    "warmup_steps": 100,
    "weight_decay": 0.25,
    "evaluations": 12,
    "patience": 5,
    "checkpoint_seconds": 120.0,
}
_QUICK_LINES = 400


def own_side(folder: Path, *, data: Path, model: ModelConfig, seconds: float) -> dict[str, Any]:
    """Train ours and score it."""
    lines = list(corpora.word_lines(data / "train.txt"))
    validation = "".join(corpora.word_lines(data / "valid.txt"))
    cut = round(len(lines) * (1 - TUNE_SHARE))
    store = ContentStore(folder / "store")
    corpus = corpora.prepare(
        store,
        train=["".join(lines[:cut])],
        tune=["".join(lines[cut:])],
        fit=[*lines, validation],
        tokenizer=TokenizerConfig(kind="word", vocab_size=1 << 20),
    )
    done = ours.run(
        store,
        corpus,
        model=model,
        training=TrainingConfig(budget_seconds=seconds, **TRAINING),
        work_dir=folder / "work",
    )
    tokens = corpus.loaded.encode(validation)
    expected = corpora.num_word_tokens(data / "valid.txt")
    if len(tokens) != expected:
        raise SystemExit(f"{len(tokens)} tokens where the text has {expected} words and line ends")
    nats = ours.stateful_nats(done.checkpoint.load("best"), tokens)
    return {
        **done.facts(),
        "best_step": done.checkpoint.summary["best_step"],
        "stopped_early": done.checkpoint.summary["stopped_early"],
        "vocabulary": corpus.tokenizer.summary["vocab_size"],
        "validation_targets": len(tokens) - 1,
        "perplexity": perplexity(nats * (len(tokens) - 1), len(tokens) - 1),
    }


def peer_side(folder: Path, *, checkout: Path, data: Path, seconds: float) -> dict[str, Any]:
    """Train the example and score it."""
    if not (checkout / "main.py").exists() and (checkout / "word_language_model").is_dir():
        checkout = checkout / "word_language_model"
    if not (checkout / "main.py").exists():
        raise SystemExit(f"{checkout / 'main.py'} is not there; give the folder of the example")
    program = Path(__file__).with_name("word_language_model.py")
    given = [str(checkout.resolve()), str(data), str(seconds), "result.json"]
    subprocess.run([sys.executable, str(program), *given], cwd=folder, check=True)
    answer: dict[str, Any] = json.loads((folder / "result.json").read_text())
    targets = answer["validation_targets"]
    perplexities = {name: perplexity(nats, targets) for name, nats in answer["sum_nats"].items()}
    reported = min(perplexities, key=lambda name: perplexities[name])
    return {
        **answer,
        "perplexities": perplexities,
        "perplexity": perplexities[reported],
        "perplexity_is_of": reported,
    }


def main() -> None:
    """Measure and write `benchmarks/results/words.json`."""
    options = parser(__doc__)
    options.add_argument(
        "--word-language-model", type=Path, help="the folder of the example in pytorch/examples"
    )
    options.add_argument("--minutes", type=float, default=MINUTES, help="budget of each side")
    options.add_argument("--pointer", action="store_true", help="ours copies from its window")
    given = options.parse_args()
    train, valid = corpora.find("wikitext2/train.txt"), corpora.find("wikitext2/valid.txt")
    if train is None or valid is None:
        return
    model = MODEL.model_copy(update={"pointer": given.pointer})
    seconds = 8.0 if given.quick else 60 * given.minutes
    with workspace("words") as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir()
        for source, target in ((train, "train.txt"), (valid, "valid.txt"), (valid, "test.txt")):
            if given.quick:
                lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
                (data / target).write_text("".join(lines[:_QUICK_LINES]), encoding="utf-8")
            else:
                shutil.copy(source, data / target)
        print(f"ours, {seconds:g} s", flush=True)
        own = own_side(folder, data=data, model=model, seconds=seconds)
        peer: dict[str, Any] | None = None
        if given.word_language_model is not None:
            # The plan rests on a probe; where the machine slowed down since, ours took longer.
            taken = own["training_seconds"]
            print(f"word_language_model, {taken:.0f} s", flush=True)
            checkout = given.word_language_model
            peer = peer_side(folder, checkout=checkout, data=data, seconds=taken)
            if peer["validation_targets"] != own["validation_targets"]:
                raise SystemExit(
                    f"{peer['validation_targets']} targets of the example, but"
                    f" {own['validation_targets']} of ours; perplexities would not compare"
                )
    results = {
        "what": "WikiText-2, validation perplexity per token",
        "seconds_of_budget": seconds,
        "model": model.model_dump(mode="json"),
        "training": TRAINING,
        "lmcore": own,
        "word_language_model": peer or NOT_RUN,
    }
    record("words", results, given)


if __name__ == "__main__":
    main()
