"""`lmcore serve` of a model that was gone on from, beside llama.cpp with the same weights.

    python -m benchmarks.serving_pretrained --llama PYTHON     about 10 minutes on two cores

PYTHON is an interpreter of an environment that holds `llama-cpp-python`; without one there is one
side.  SmolLM2-135M learns for some seconds by LoRA and is registered; `lmcore serve` answers with
it, and llama.cpp with the file of `lmcore export --format gguf`: the same weights, in float32 on
both sides.  Each request has another prompt of some 200 bytes, as llama.cpp keeps what it read
last, and asks for 64 tokens drawn at temperature 0.8 and top-p 0.95.  llama-cpp-python answers one
request after the other, here without HTTP; eight clients get there what one gets.  Both sides are
asked in turns, and a ratio is the median of those of all turns.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from benchmarks.arithmetic import ratios, spread
from benchmarks.clients import PROMPT, TOKENS, Ask, load, post, served
from benchmarks.pipeline import lmcore
from benchmarks.recording import NOT_RUN, parser, record, workspace
from benchmarks.registered import MESSAGES, SMOLLM2
from benchmarks.serving import resident_megabytes

CLIENTS = (1, 8)
_TURNS = 5
_NAME = "messages"
_LLAMA = """
import json, sys, time
from llama_cpp import Llama, __version__
given = json.loads(sys.argv[1])
model = Llama(given["file"], n_ctx=1024, n_threads=given["threads"], verbose=False, seed=0)
def draw(seed):
    found = model.create_completion(
        given["prompt"].format(seed), max_tokens=given["tokens"], seed=seed,
        temperature=0.8, top_p=0.95, top_k=0, min_p=0.0, repeat_penalty=1.0)
    return found["usage"]["completion_tokens"]
draw(given["first"])
start = time.perf_counter()
total = sum(draw(given["first"] + 1 + i) for i in range(given["each"]))
print(json.dumps({"version": __version__, "rate": total / (time.perf_counter() - start)}))
"""


def ours(name: str) -> Ask:
    """Ask `lmcore serve`; the answer is its count of tokens."""

    def ask(connection: Any, seed: int) -> str:
        asked = {"model": name, "prompt": PROMPT.format(seed), "max_tokens": TOKENS, "seed": seed}
        asked |= {"temperature": 0.8, "top_p": 0.95}
        found = post(connection, "/v1/completions", asked)
        return str(found["usage"]["completion_tokens"])

    return ask


def llama(python: Path, file: Path, *, each: int, first: int) -> tuple[float, str]:
    """Tokens a second of llama.cpp in a process of its own environment, and its version."""
    given = {
        "file": str(file),
        "threads": len(os.sched_getaffinity(0)),
        "prompt": PROMPT,
        "tokens": TOKENS,
        "each": each,
        "first": first,
    }
    done = subprocess.run(
        [str(python), "-c", _LLAMA, json.dumps(given)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return float(found["rate"]), str(found["version"])


def main() -> None:
    """Measure and write `benchmarks/results/serving_pretrained.json`."""
    options = parser(__doc__)
    options.add_argument("--llama", type=Path, help="Python of an environment with it")
    options.add_argument("--model", default=SMOLLM2["pretrained"], help="the model to start from")
    given = options.parse_args()
    each = 1 if given.quick else 8
    with workspace("serving-pretrained") as folder:
        home, file = Path(folder) / "home", Path(folder) / "config.yaml"
        config = {
            "name": _NAME,
            "sources": [{**MESSAGES, "files": "data/speeches/201*.txt"}],
            "data": {"unit": "paragraph", "validation_fraction": 0.2},
            "preset": "pretrained-cpu",
            "model": {**SMOLLM2, "pretrained": given.model},
            "training": {"seed": 0, "budget_seconds": 5.0},
            "gates": {"evaluation": {"budget_seconds": 30.0}},
        }
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        lmcore(home, "run", "--config", str(file), "--json")
        lmcore(home, "promote", "1", "--override", "--reason", "a benchmark")
        out = Path(folder) / "gguf"
        lmcore(home, "export", "1", "--format", "gguf", "--out", str(out))
        weights = next(out.glob("*.gguf"))
        results: dict[str, Any] = {"model": given.model, "precision": "float32"}
        with served(home) as (port, pid, seconds):
            mine: dict[str, Any] = {"ready_seconds": round(seconds, 2)}
            load(port, ours(_NAME), clients=2, each=1)
            rates: dict[int, list[float]] = defaultdict(list)
            theirs: list[float] = []
            for turn in range(_TURNS):
                for clients in CLIENTS:
                    run = load(
                        port,
                        ours(_NAME),
                        clients=clients,
                        each=each if clients == 1 else max(1, each // 4),
                        first=1000 * (turn + 1) + 100 * clients,
                    )
                    rates[clients].append(sum(map(int, run["texts"])) / run["seconds"])
                if given.llama is not None:
                    rate, version = llama(given.llama, weights, each=each, first=turn * (each + 1))
                    theirs.append(rate)
            mine |= {f"clients_{n}": {"tokens_per_second": spread(rates[n])} for n in CLIENTS}
            results["lmcore_serve"] = {**mine, "megabytes": resident_megabytes(pid)}
        results["llama_cpp_python"] = NOT_RUN
        if theirs:
            results["llama_cpp_python"] = {
                "version": version,
                "tokens_per_second": spread(theirs),
            }
            results["ratios"] = {f"clients_{n}": ratios(rates[n], theirs) for n in CLIENTS}
    record("serving_pretrained", results, given)


if __name__ == "__main__":
    main()
