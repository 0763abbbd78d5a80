"""nanoGPT (Karpathy) as a peer: its own programs, run from a checkout that the user gives.

A copy of the few files that it needs is made in a folder of the run, so that the checkout stays as
it is. Its train.py is started as a user would; of its output the arrival times are kept.
Changes to its source are made only where a side says so, and are recorded with the result.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.arithmetic import cut_windows, iteration_seconds, training_seconds
from benchmarks.ours import mean_nats

# The command of its README for "not so great" machines, word for word, but for the seed.
CPU_COMMAND = (
    "config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --log_interval=1"
    " --block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --max_iters=2000"
    " --lr_decay_iters=2000 --dropout=0.0"
)
CPU_COMMAND_ITERATIONS = 2000
# It disregards --dtype on a CPU and keeps the fused optimizer for GPUs; both changes are for its
# good: about half the time of an iteration.
Change = tuple[str, str, str]
FASTER_ON_CPU: tuple[Change, ...] = (
    (
        "train.py",
        "ctx = nullcontext() if device_type == 'cpu' else torch.amp.autocast(",
        "ctx = torch.amp.autocast(",
    ),
    (
        "model.py",
        "use_fused = fused_available and device_type == 'cuda'",
        "use_fused = fused_available",
    ),
)
_PROBE_ITERATIONS = 25
_NEEDED = ("train.py", "model.py", "configurator.py", "config", "data/shakespeare_char/prepare.py")


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of nanoGPT with the text prepared by its own prepare.py.

    Attributes:
        folder: The copy.
    """

    folder: Path

    @classmethod
    def copy(
        cls,
        source: Path,
        folder: Path,
        *,
        text: Path,
        changes: Sequence[Change] = (),
        seed: int = 0,
    ) -> Checkout:
        """Copy what is needed and prepare the characters."""
        for name in _NEEDED:
            origin, target = source / name, folder / name
            if not origin.exists():
                raise SystemExit(f"{origin} is not there; give the path of a nanoGPT checkout")
            target.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, target)
            else:
                shutil.copy(origin, target)
        if seed:
            seeded = ("train.py", "torch.manual_seed(1337 +", f"torch.manual_seed({1337 + seed} +")
            changes = (*changes, seeded)
        for name, old, new in changes:
            content = (folder / name).read_text(encoding="utf-8")
            if old not in content:
                raise SystemExit(
                    f"{source / name} has no text {old!r}; this benchmark knows another version"
                )
            (folder / name).write_text(content.replace(old, new), encoding="utf-8")
        data = folder / "data" / "shakespeare_char"
        shutil.copy(text, data / "input.txt")
        subprocess.run([sys.executable, "prepare.py"], cwd=data, check=True, stdout=sys.stderr)
        return cls(folder=folder)

    def start(self, arguments: Sequence[str]) -> list[tuple[float, str]]:
        """Run train.py; returns its lines with their arrival times."""
        lines: list[tuple[float, str]] = []
        with subprocess.Popen(
            [sys.executable, "-u", "train.py", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append((time.perf_counter(), line.rstrip()))
                if line.startswith("step "):
                    print(f"  {line.rstrip()}", flush=True)
        if process.returncode:
            raise SystemExit(f"nanoGPT's train.py ended with {process.returncode}")
        return lines

    def probed_iterations(self, arguments: Sequence[str], *, seconds: float) -> int:
        """Iterations that fit into a budget, from a short run of the same command."""
        short = (f"--max_iters={_PROBE_ITERATIONS}", f"--eval_interval={_PROBE_ITERATIONS + 1}")
        lines = self.start([*arguments, "--log_interval=1", "--eval_iters=1", *short])
        return max(10, int(seconds / iteration_seconds(line for _, line in lines)))

    def train(self, arguments: Sequence[str], *, iterations: int) -> dict[str, Any]:
        """Train; returns the figures, and leaves the weights where `load` finds them."""
        out = ("--out_dir=out", "--log_interval=1")
        lines = self.start([*arguments, *out])
        options = dict(a[2:].split("=", 1) for a in arguments if a.startswith("--"))
        seconds = training_seconds(lines, last_iteration=iterations - 1)
        tokens = iterations * int(options["batch_size"]) * int(options["block_size"])
        own = [line for _, line in lines if line.startswith("step ")]
        return {
            "command": "python train.py " + " ".join(arguments),
            "training_seconds": seconds,
            "steps": iterations,
            "tokens_per_second": tokens / seconds,
            "own_estimate": own[-1] if own else None,
        }

    def load(self) -> tuple[Any, dict[str, Any]]:
        """The model of the saved checkpoint, and facts about it."""
        saved = torch.load(self.folder / "out" / "ckpt.pt", map_location="cpu", weights_only=True)
        model = new_model(self.folder, **saved["model_args"])
        model.load_state_dict(saved["model"])
        return model.eval(), {
            "parameters": num_parameters(model),
            "block_size": saved["model_args"]["block_size"],
            "step_of_weights": saved["iter_num"],
        }


def new_model(folder: Path, **arguments: Any) -> Any:
    """An untrained model of a checkout's model.py."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", folder / "model.py")
    if spec is None or spec.loader is None or not (folder / "model.py").exists():
        raise SystemExit(f"{folder / 'model.py'} is not there; give the path of a nanoGPT checkout")
    module = importlib.util.module_from_spec(spec)
    sys.modules["nanogpt_model"] = module
    spec.loader.exec_module(module)
    with contextlib.redirect_stdout(sys.stderr):
        return module.GPT(module.GPTConfig(**arguments))


def num_parameters(model: torch.nn.Module) -> int:
    """Trainable numbers, shared ones counted once, positions included."""
    return sum(parameter.numel() for parameter in model.parameters())


def losses(model: Any, tokens: Sequence[int]) -> dict[str, float]:
    """Nats per character over all of the validation text, in float32.

    `cold<block>`: independent windows of its block size, the longest that it can read.
    `sliding`: windows that overlap by half, of which the second half counts: its best case.
    """
    block = int(model.config.block_size)
    num_targets = len(tokens) - 1

    def logits(inputs: Tensor, targets: Tensor) -> Tensor:
        scores: Tensor = model(inputs, targets)[0]  # without targets it scores the last alone
        return scores

    def measure(width: int, stride: int) -> float:
        windows = cut_windows(num_targets, width=width, stride=stride)
        return mean_nats(logits, tokens, windows, device="cpu")

    found = {f"cold{block}": measure(block, block), "sliding": measure(block, max(1, block // 2))}
    for narrower in (64, 128, 256):
        if narrower < block:
            found[f"cold{narrower}"] = measure(narrower, narrower)
    return found


def encoded(text: str, *, whole: str) -> list[int]:
    """Ids as prepare.py gives them: characters of the whole text in order of code point."""
    ids: Mapping[str, int] = {char: index for index, char in enumerate(sorted(set(whole)))}
    return [ids[char] for char in text]
