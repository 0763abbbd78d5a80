"""`lmcore serve` of a model that was gone on from, beside llama.cpp with the same weights.

    python -m benchmarks.serving_pretrained --llama PYTHON     about 10 minutes on two cores

PYTHON is an interpreter of an environment that holds `llama-cpp-python`; without one there is one
side.  SmolLM2-135M learns for some seconds by LoRA and is registered; `lmcore serve` answers with
it, and llama.cpp with the file of `lmcore export --format gguf`: the same weights, in float32 on
both sides.  Each request has another prompt of some 200 bytes, as llama.cpp keeps what it read
last, and asks for 64 tokens drawn at temperature 0.8 and top-p 0.95.  llama-cpp-python answers one
request after the other, here without HTTP; eight clients get there what one gets.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any

import yaml

from benchmarks.pipeline import lmcore
from benchmarks.recording import NOT_RUN, parser, record, workspace
from benchmarks.registered import MESSAGES, SMOLLM2
from benchmarks.serving import TOKENS, Ask, load, post, resident_megabytes, served

PROMPT = (
    "{}. Fellow citizens of the Senate and of the House of Representatives: the year that has"
    " passed since you were last in this place has been one of peace abroad and of honest labor at"
    " home, and the"
)
CLIENTS = (1, 8)
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
draw(0)
rates = []
for turn in range(3):
    start = time.perf_counter()
    total = sum(draw(1 + turn * given["each"] + i) for i in range(given["each"]))
    rates.append(total / (time.perf_counter() - start))
print(json.dumps({"version": __version__, "rates": rates}))
"""


def ours(name: str) -> Ask:
    """Ask `lmcore serve`; the answer is its count of tokens."""

    def ask(connection: Any, seed: int) -> str:
        asked = {"model": name, "prompt": PROMPT.format(seed), "max_tokens": TOKENS, "seed": seed}
        asked |= {"temperature": 0.8, "top_p": 0.95}
        found = post(connection, "/v1/completions", asked)
        return str(found["usage"]["completion_tokens"])

    return ask


def rates(found: list[float]) -> dict[str, float]:
    """Median, least and most tokens a second."""
    values = (statistics.median(found), min(found), max(found))
    names = ("tokens_per_second", "least", "most")
    return {name: round(value, 2) for name, value in zip(names, values, strict=True)}


def llama(python: Path, file: Path, *, each: int) -> dict[str, Any]:
    """llama.cpp in a process of its own environment."""
    given = {
        "file": str(file),
        "threads": len(os.sched_getaffinity(0)),
        "prompt": PROMPT,
        "tokens": TOKENS,
        "each": each,
    }
    done = subprocess.run(
        [str(python), "-c", _LLAMA, json.dumps(given)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {"version": found["version"], **rates(found["rates"])}


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
        results: dict[str, Any] = {"model": given.model, "precision": "float32"}
        with served(home) as (port, pid, seconds):
            mine: dict[str, Any] = {"ready_seconds": round(seconds, 2)}
            load(port, ours(_NAME), clients=2, each=1)
            for clients in CLIENTS:
                runs = [load(port, ours(_NAME), clients=clients, each=each) for _ in range(3)]
                found = [sum(map(int, run["texts"])) / run["seconds"] for run in runs]
                mine[f"clients_{clients}"] = rates(found)
            results["lmcore_serve"] = {**mine, "megabytes": resident_megabytes(pid)}
        results["llama_cpp_python"] = NOT_RUN
        if given.llama is not None:
            theirs = llama(given.llama, next(out.glob("*.gguf")), each=each)
            results["llama_cpp_python"] = theirs
            results["ratios"] = {
                f"clients_{n}": round(
                    mine[f"clients_{n}"]["tokens_per_second"] / theirs["tokens_per_second"], 2
                )
                for n in CLIENTS
            }
    record("serving_pretrained", results, given)


if __name__ == "__main__":
    main()
