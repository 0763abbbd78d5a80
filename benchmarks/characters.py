"""Characters of tinyshakespeare: ours against nanoGPT, in one run, on all cores.

    python -m benchmarks.characters --nanogpt PATH              about 15 minutes on two cores
    python -m benchmarks.characters --nanogpt PATH --seeds 3    about an hour
    python -m benchmarks.characters                             ours alone, about 6 minutes
    python -m benchmarks.characters --quick [--nanogpt PATH]    check that it works, a minute

Train text is the first nine tenths, validation text the rest, as in nanoGPT's prepare.py.

Sides: ours (the table below) for `--seconds` of wall clock; nanoGPT by the command that its
README publishes for a CPU, word for word; nanoGPT tuned for the same seconds (`TUNED`): the
shape, batch and learning rate that were best in short trials, bfloat16 and a fused optimizer on
the CPU (see `benchmarks.nanogpt`), and as many iterations as a timed probe says fit. Beside them
ours as sprints (`SPRINT`, a narrower model): few steps on a schedule of their own, for the time
until it reaches what the published command does, as one for `--seconds` learns slowly at first.
`--tuned '{"n_embd": 160}'` tries other values, `--sides tuned` runs that side alone.

Losses are nats per character over the same 111,539 targets of the validation text, in float32:
`cold<W>` reads independent windows of W; `stateful` (ours) carries the state over all of the
text; `sliding` (nanoGPT) overlaps windows by half and counts the second half, its best case.

Training seconds of each side exclude its own preparation and loading of the text and the final
evaluation, and include everything else: ours its probe and resume points, nanoGPT its looks
at the data. The probe for nanoGPT's iterations is not counted.

Ours sees no validation text before the end: its tune split is empty and the last weights count.
Its vocabulary is that of the package, 257 ids of which 65 occur.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import corpora, nanogpt, ours
from benchmarks.arithmetic import cut_windows, spread, time_to
from benchmarks.recording import NOT_RUN, parser, record, workspace
from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.training.config import TrainingConfig

SECONDS = 200.0
MODEL = ModelConfig(
    pattern="LA",
    d_model=384,
    embedding_dim=64,
    num_heads=1,
    head_dim=64,
    window=128,
    mlp_multiple=1,
    dropout=0.05,
)
TRAINING = {
    "batch_size": 16,
    "sequence_length": 64,
    "learning_rate": 6e-3,
    "warmup_steps": 50,
    "weight_decay": 0.4,
    # Resume points are the moments at which the loss curve has a value.
    "checkpoint_seconds": 8.0,
}
# For seconds a narrower model is better, and no text is read twice.
SPRINT_MODEL = MODEL.model_copy(update={"d_model": 256, "window": 64, "dropout": 0.0})
SPRINT = {
    **TRAINING,
    "learning_rate": 7e-3,
    "warmup_steps": 15,
    "weight_decay": 0.1,
    "precision": "bfloat16",
    "checkpoint_seconds": 600.0,
}
# What the published command reaches with windows, and in its best case, ours reaches in different
# times; a schedule for each.
SPRINT_STEPS = {"cold64": 330, "stateful": 240}
TUNED = {
    "batch_size": 12,
    "block_size": 64,
    "n_layer": 4,
    "n_head": 4,
    "n_embd": 128,
    "learning_rate": 6e-3,
    "min_lr": 1e-4,
    "warmup_iters": 50,
    "beta2": 0.99,
    "dropout": 0.0,
    "dtype": "bfloat16",
}
COLD_WIDTHS = (64, 128, 256)
SIDES = ("ours", "sprint", "published", "tuned")


def own_side(
    folder: Path,
    *,
    text: tuple[str, str],
    seed: int,
    model: ModelConfig,
    training: dict[str, Any],
    snapshots: bool,
) -> dict[str, Any]:
    """Train ours once and score it."""
    train_text, validation = text
    store = ContentStore(folder / "store")
    corpus = corpora.prepare(
        store, train=[train_text], tokenizer=TokenizerConfig(kind="char", vocab_size=512)
    )
    done = ours.run(
        store,
        corpus,
        model=model,
        training=TrainingConfig(seed=seed, **training),
        work_dir=folder / f"work-{seed}",
        snapshots=snapshots,
    )
    tokens = corpus.loaded.encode(validation)
    trained = done.checkpoint.load("final")
    curve = []
    for shot in done.snapshots:
        trained.load_state_dict(dict(shot.weights))
        reached = losses(trained, tokens, widths=COLD_WIDTHS[:1])
        curve.append({"seconds": shot.seconds, "step": shot.step, **reached})
    found = losses(done.checkpoint.load("final"), tokens)
    if not snapshots:
        curve = [{"seconds": done.seconds, "step": done.facts()["steps"], **found}]
    return {"seed": seed, **done.facts(), "losses": found, "curve": curve}


def losses(
    model: RecurrentAttentionLM, tokens: list[int], *, widths: Sequence[int] = COLD_WIDTHS
) -> dict[str, float]:
    """Losses of ours over all of the validation text."""
    found = {
        f"cold{width}": ours.windows_nats(
            model, tokens, cut_windows(len(tokens) - 1, width=width, stride=width)
        )
        for width in widths
    }
    return {**found, "stateful": ours.stateful_nats(model, tokens)}


def published_side(
    source: Path, folder: Path, *, path: Path, text: tuple[str, str], seed: int, quick: bool
) -> dict[str, Any]:
    """NanoGPT by its published command."""
    checkout = nanogpt.Checkout.copy(source, folder, text=path, seed=seed)
    arguments, iterations = nanogpt.CPU_COMMAND.split(), nanogpt.CPU_COMMAND_ITERATIONS
    if quick:
        iterations = 20
        arguments += ["--max_iters=20", "--lr_decay_iters=20", "--eval_interval=10"]
    return finished(checkout, checkout.train(arguments, iterations=iterations), text, seed=seed)


def tuned_side(
    source: Path,
    folder: Path,
    *,
    path: Path,
    text: tuple[str, str],
    seed: int,
    seconds: float,
    changed: dict[str, Any],
) -> dict[str, Any]:
    """NanoGPT tuned for the same seconds."""
    changes = nanogpt.FASTER_ON_CPU
    checkout = nanogpt.Checkout.copy(source, folder, text=path, changes=changes, seed=seed)
    arguments = ["config/train_shakespeare_char.py", "--device=cpu", "--compile=False"]
    arguments += [f"--{name}={value}" for name, value in {**TUNED, **changed}.items()]
    iterations = checkout.probed_iterations(arguments, seconds=seconds)
    # It saves only at a look at the data; the only one after the first is at the end.
    arguments += [f"--max_iters={iterations}", f"--lr_decay_iters={iterations}"]
    arguments += [f"--eval_interval={iterations}", "--eval_iters=1"]
    arguments += ["--always_save_checkpoint=True"]
    facts = checkout.train(arguments, iterations=iterations)
    facts["changes"] = [f"{name}: {old} -> {new}" for name, old, new in changes]
    return finished(checkout, facts, text, seed=seed)


def finished(
    checkout: nanogpt.Checkout, facts: dict[str, Any], text: tuple[str, str], *, seed: int
) -> dict[str, Any]:
    """Score nanoGPT's weights by our evaluation."""
    model, of_weights = checkout.load()
    tokens = nanogpt.encoded(text[1], whole="".join(text))
    return {"seed": seed, **facts, **of_weights, "losses": nanogpt.losses(model, tokens)}


def times_to_target(
    own: list[dict[str, Any]], published: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """When ours was first as good as what nanoGPT's published command reached in this run.

    Each of the two readings is compared with its like: cold windows of nanoGPT's block with the
    same windows of ours, and its sliding window with our carried state.
    """
    rows = []
    for mine, theirs in zip(own, published, strict=True):
        row = {}
        for name, peer in (("cold64", "cold64"), ("stateful", "sliding")):
            target = theirs["losses"][peer]
            reached = time_to([(point["seconds"], point[name]) for point in mine["curve"]], target)
            row[name] = {
                "target_nats": target,
                "seconds": reached,
                "nanogpt_seconds": theirs["training_seconds"],
                "ratio": theirs["training_seconds"] / reached if reached else None,
            }
        rows.append(row)
    return rows


def side(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """All runs of a side and the spread of what they reached."""
    measured = {name: spread([run["losses"][name] for run in runs]) for name in runs[0]["losses"]}
    for name in ("training_seconds", "tokens_per_second"):
        measured[name] = spread([run[name] for run in runs])
    return {"parameters": runs[0]["parameters"], "spread": measured, "runs": runs}


def main() -> None:
    """Measure and write `benchmarks/results/characters.json`."""
    options = parser(__doc__)
    options.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT")
    options.add_argument("--seconds", type=float, default=SECONDS, help="budget of a training")
    options.add_argument("--tuned", type=json.loads, default={}, help="JSON that changes TUNED")
    options.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES, help="run only these")
    options.add_argument("--seeds", type=int, default=1, help="runs of each side")
    given = options.parse_args()
    path = corpora.find("tinyshakespeare/input.txt")
    if path is None:
        return
    text = corpora.characters(path)
    seconds = 6.0 if given.quick else given.seconds
    if given.quick:
        text = text[0], text[1][:6000]
    own: list[dict[str, Any]] = []
    sprints: dict[str, list[dict[str, Any]]] = {
        f"lmcore_sprint_{name}": [] for name in SPRINT_STEPS
    }
    published: list[dict[str, Any]] = []
    tuned: list[dict[str, Any]] = []
    with workspace("characters") as name:
        folder = Path(name)
        for seed in range(given.seeds):
            if "ours" in given.sides:
                print(f"ours, seed {seed}, {seconds:g} s", flush=True)
                pause = min(float(TRAINING["checkpoint_seconds"]), seconds / 4)
                plan = {**TRAINING, "checkpoint_seconds": pause, "budget_seconds": seconds}
                facts = {"text": text, "seed": seed, "model": MODEL, "training": plan}
                own.append(own_side(folder, snapshots=True, **facts))
            if "sprint" in given.sides:
                for reading, steps in SPRINT_STEPS.items():
                    plan = {**SPRINT, "max_steps": 20 if given.quick else steps}
                    print(f"ours, seed {seed}, {plan['max_steps']} steps", flush=True)
                    facts = {"text": text, "seed": seed, "model": SPRINT_MODEL, "training": plan}
                    done = own_side(folder, snapshots=False, **facts)
                    sprints[f"lmcore_sprint_{reading}"].append(done)
            if given.nanogpt is None:
                continue
            common = {"path": path, "text": text, "seed": seed}
            if "published" in given.sides:
                print(f"nanoGPT, published command, seed {seed}", flush=True)
                target = folder / f"published-{seed}"
                published.append(published_side(given.nanogpt, target, quick=given.quick, **common))
            if "tuned" in given.sides:
                print(f"nanoGPT, tuned, seed {seed}", flush=True)
                target = folder / f"tuned-{seed}"
                facts = {"seconds": seconds, "changed": given.tuned, **common}
                tuned.append(tuned_side(given.nanogpt, target, **facts))
    mine = {"lmcore": own, **sprints}
    sides = {**mine, "nanogpt_published_cpu_command": published, "nanogpt_tuned": tuned}
    results = {
        "what": "tinyshakespeare, nats per character over all validation targets",
        "seconds_of_budget": seconds,
        "validation_targets": len(text[1]) - 1,
        "model": MODEL.model_dump(mode="json"),
        "training": TRAINING,
        "sprint_model": SPRINT_MODEL.model_dump(mode="json"),
        "sprint_training": SPRINT,
        **{name: side(runs) if runs else NOT_RUN for name, runs in sides.items()},
        "time_to_nanogpt": {
            name: times_to_target(runs, published) if runs and published else NOT_RUN
            for name, runs in mine.items()
        },
    }
    record("characters", results, given)


if __name__ == "__main__":
    main()
