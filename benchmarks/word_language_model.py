"""PyTorch's word_language_model example as a peer: its main.py, stopped after a fixed time.

Run by `benchmarks.words` as a process of its own, in the folder of the run:

    python word_language_model.py CHECKOUT DATA SECONDS RESULT [options of main.py]

main.py trains a number of epochs, saves after each epoch that was better on the validation
text, and evaluates only then. So it is executed as it is, in two parts: up to its loop (loading,
model), then the loop, which an alarm ends after SECONDS wherever it is. Both the weights of that
moment and those of its best epoch are scored, all in one lane with the hidden state carried.
This file imports nothing of the project.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

_LOOP = "# Loop over epochs."
_CHUNK_TOKENS = 256


class TimeIsUp(BaseException):
    """Raised in the middle of the loop; main.py catches KeyboardInterrupt only."""


def score(model: Any, tokens: Any) -> float:
    """Summed nats over all targets of a text, tokens int64 [n]."""
    import torch

    model.eval()
    hidden, total = model.init_hidden(1), 0.0
    with torch.no_grad():
        for start in range(0, len(tokens) - 1, _CHUNK_TOKENS):
            stop = min(start + _CHUNK_TOKENS, len(tokens) - 1)
            output, hidden = model(tokens[start:stop, None], hidden)
            targets = tokens[start + 1 : stop + 1]
            total += torch.nn.functional.nll_loss(output, targets, reduction="sum").item()
    return total


def main() -> None:
    """See above."""
    checkout, data, seconds, result = sys.argv[1:5]
    folder = Path(checkout)
    sys.path.insert(0, checkout)
    source = (folder / "main.py").read_text(encoding="utf-8")
    if source.count(_LOOP) != 1:
        raise SystemExit(f"{folder / 'main.py'} has no single {_LOOP!r}; another version is known")
    before, loop = source.split(_LOOP)
    # Its last options win, so that the caller's come after ours.
    sys.argv = ["main.py", "--data", data, "--epochs", "100000", "--save", "best.pt", *sys.argv[5:]]
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(folder / "main.py")}
    exec(compile(before, "main.py", "exec"), names)

    import torch

    evaluate = names["evaluate"]
    evaluations: list[float] = []
    held = io.BytesIO()

    def remember(source: Any) -> float:
        value: float = evaluate(source)
        evaluations.append(value)
        return value

    def stop(*_: object) -> None:
        torch.save(names["model"].state_dict(), held)
        raise TimeIsUp

    names["evaluate"] = remember
    signal.signal(signal.SIGALRM, stop)
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, float(seconds))
    try:
        exec(compile(loop, "main.py", "exec"), names)
        raise SystemExit("main.py ended before its time was up; give it more epochs")
    except TimeIsUp:
        trained = time.perf_counter() - start
    model, corpus = names["model"], names["corpus"]
    epochs = names["epoch"] - 1
    held.seek(0)
    model.load_state_dict(torch.load(held))
    sums = {"at_the_limit": score(model, corpus.valid)}
    if Path("best.pt").exists():
        # Written by the loop above, not by anybody else.
        best = torch.load("best.pt", weights_only=False)
        best.rnn.flatten_parameters()
        sums["best_epoch"] = score(best, corpus.valid)
    answer = {
        "training_seconds": trained,
        "whole_epochs": epochs,
        "learning_rate_at_the_end": names["lr"],
        "train_tokens": len(corpus.train),
        "vocabulary": len(corpus.dictionary),
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
        "validation_targets": len(corpus.valid) - 1,
        "sum_nats": sums,
        "own_validation_loss_by_epoch": evaluations,
        "options": sys.argv[1:],
    }
    Path(result).write_text(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to do, and the loop's frames hold the whole corpus


if __name__ == "__main__":
    main()
