"""`lmcore serve` beside `mlflow models serve` of the same version, and `generate` in process.

    python -m benchmarks.serving                     about 20 minutes on two cores
    python -m benchmarks.serving --home PATH         with the champion of a home that exists
    python -m benchmarks.serving --requests 1000     a shorter look at memory

The version is the champion of the default `lmcore run`.  Each client asks for 64 tokens after a
prompt of some 200 bytes, one request after the other on one connection, each with another seed and
another number before the prompt (on our side once more with one prompt for all, which is read
once).  The clients are threads of one process beside the servers, which are asked in turns; a ratio
is the median of those of all turns.  Tokens are counted by encoding what came back, on both sides
alike.  Memory is `VmRSS` of the serving process; MLflow's is that of all its processes.

A thousand hostile requests follow (`benchmarks.hostile`), beside an honest client.

Then a second version is trained, and the champion moves between the two by `lmcore promote` and
`lmcore rollback` while clients ask: each answer must be, to the last byte, what the version that it
names says to that request.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import pipeline
from benchmarks.arithmetic import ratios, spread
from benchmarks.clients import (
    PROMPT,
    TOKENS,
    Ask,
    load,
    mlflows,
    ours,
    post,
    served,
    served_by_mlflow,
)
from benchmarks.hostile import hostile
from benchmarks.recording import in_child, parser, record, workspace

CLIENTS = 32
EACH = 8
_TURNS = 9
# Between the seeds of two turns.
_APART = 100_000


class Side(NamedTuple):
    """Who is asked: at which port, how, and how often by each of 32 clients."""

    port: int
    ask: Ask
    each: int


def measured(
    sides: Mapping[str, Side], encode: Callable[[str], int], *, generate: Callable[[], float]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]]]:
    """32 clients at once, and one alone, of each side in turns: machines change their speed.

    Args:
        sides: By name.
        encode: Tokens of a text.
        generate: Tokens a second in process, asked once a turn.

    Returns:
        Of each side by name, and how many times as fast as another `lmcore_serve` is: of each turn,
        whose sides were asked within seconds of each other.
    """
    runs: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    alone = []
    for side in sides.values():
        load(side.port, side.ask, clients=4, each=1)
    for turn in range(1, 1 + _TURNS):
        for way, clients, each in (("clients_32", CLIENTS, 1), ("one_client", 1, 4)):
            for name, side in sides.items():
                runs[name, way].append(
                    load(
                        side.port,
                        side.ask,
                        clients=clients,
                        each=each * side.each,
                        first=turn * _APART + clients * 1000,
                    )
                )
        alone.append(generate())
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    rates: dict[tuple[str, str], list[float]] = {}
    for (name, way), loads in runs.items():
        rates[name, way] = [sum(map(encode, run["texts"])) / run["seconds"] for run in loads]
        found[name][way] = {
            "tokens_per_second": spread(rates[name, way]),
            "p50_seconds": round(statistics.median(run["p50"] for run in loads), 4),
            "p99_seconds": round(statistics.median(run["p99"] for run in loads), 4),
        }
    found["generate"] = {"tokens_per_second": spread(alone)}
    mine, other = "lmcore_serve", "mlflow_models_serve"
    faster = {
        "clients_32_to_mlflow": ratios(rates[mine, "clients_32"], rates[other, "clients_32"]),
        "one_client_to_mlflow": ratios(rates[mine, "one_client"], rates[other, "one_client"]),
        "one_client_to_generate": ratios(rates[mine, "one_client"], alone),
        "p99_to_p50_of_32": ratios(
            *([run[p] for run in runs[mine, "clients_32"]] for p in ("p99", "p50"))
        ),
    }
    return found, faster


def first_token(port: int, name: str, *, repeats: int) -> dict[str, float]:
    """Milliseconds from a request to the first event of its stream, one client."""
    numbers = itertools.count(1_000_000)

    def once() -> float:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        prompt = PROMPT.format(next(numbers))
        asked = {"model": name, "prompt": prompt, "max_tokens": 8, "stream": True, "seed": 1}
        start = time.perf_counter()
        connection.request("POST", "/v1/completions", json.dumps(asked))
        connection.getresponse().fp.readline()
        seconds = time.perf_counter() - start
        connection.close()
        return 1000 * seconds

    once()
    return pipeline.repeatedly(once, repeats)


def resident_megabytes(pid: int) -> float:
    """Memory of a process and of all that it started, 10^6 bytes."""
    total, left = 0, [pid]
    while left:
        one = left.pop()
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{one}/status").read_text()
            total += int(status.split("VmRSS:")[1].split()[0]) * 1024
            for task in Path(f"/proc/{one}/task").iterdir():
                left += [int(child) for child in (task / "children").read_text().split()]
    return round(total / 1e6, 1)


def soak(port: int, pid: int, name: str, *, requests: int) -> dict[str, Any]:
    """Memory after 1,000 requests and after all of them."""

    def ask(connection: http.client.HTTPConnection, seed: int) -> str:
        asked = {
            "model": name,
            "prompt": PROMPT[: seed % 200],
            "max_tokens": seed % 4,
            "seed": seed,
        }
        return str(post(connection, "/v1/completions", asked)["id"])

    few = min(1000, requests // 2)
    load(port, ask, clients=8, each=few // 8)
    before = resident_megabytes(pid)
    start = time.perf_counter()
    load(port, ask, clients=8, each=(requests - few) // 8)
    return {
        "requests": requests,
        "megabytes_after_1000": before,
        "megabytes_at_the_end": resident_megabytes(pid),
        "requests_per_second": round((requests - few) / (time.perf_counter() - start), 1),
    }


def moves(
    home: Path, port: int, name: str, versions: tuple[int, int], *, requests: int, times: int
) -> dict[str, Any]:
    """So many requests while the champion moves so often: failures, and answers of no version.

    The first version is the champion, the second one passed or is promoted by hand.
    """

    def ask(connection: http.client.HTTPConnection, model: str, seed: int) -> tuple[str, str]:
        asked = {"model": model, "prompt": PROMPT[: 20 + seed % 50], "max_tokens": 8, "seed": seed}
        connection.request("POST", "/v1/completions", json.dumps(asked))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            return f"status {answer.status}", ""
        text = json.loads(body)["choices"][0]["text"]
        return answer.headers["X-Lmcore-Version"], text

    seeds = range(50)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    known = {
        (f"{name}:{number}", seed): ask(connection, f"{name}:{number}", seed)[1]
        for number in versions
        for seed in seeds
    }
    over, left = threading.Event(), itertools.count(1)
    wrong: list[str] = []
    by_version: Counter[str] = Counter()

    def client(number: int) -> None:
        own = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        while (turn := next(left)) <= requests or not over.is_set():
            seed = turn % len(seeds)
            version, text = ask(own, name, seed)
            by_version[version] += 1
            if known.get((version, seed)) != text:
                wrong.append(version)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for turn in range(times):
        command = ["rollback"] if turn % 2 else ["promote", str(versions[1]), "--override"]
        pipeline.lmcore(home, *command, "--reason", "a benchmark")
    over.set()
    for thread in threads:
        thread.join()
    return {
        "moves": times,
        "requests": sum(by_version.values()),
        "by_version": dict(by_version),
        "failed_or_mixed": len(wrong),
        "seconds": round(time.perf_counter() - start, 1),
    }


def in_process(point: dict[str, Any]) -> dict[str, Any]:
    """Tokens a second of `generate`, as one client would ask it; and the tokens of texts."""
    from benchmarks.registered import opened
    from lmcore.model.generation import GenerationConfig, generate

    folder = opened(point["model"], point["version"])
    tokenizer, model = folder.load_tokenizer(), folder.load_model()

    def texts() -> list[str]:
        return [
            generate(
                model,
                tokenizer,
                PROMPT.format(seed),
                GenerationConfig(
                    max_tokens=TOKENS,
                    temperature=0.8,
                    top_p=0.95,
                    forbidden=folder.forbidden(),
                    seed=seed,
                ),
            ).text
            for seed in range(point["each"])
        ]

    texts()
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        drawn = texts()
        seconds = time.perf_counter() - start
        rates.append(sum(len(tokenizer.encode(text)) for text in drawn) / seconds)
    return {"tokens_per_second": round(statistics.median(rates), 1)}


def main() -> None:
    """Measure and write `benchmarks/results/serving.json`."""
    options = parser(__doc__)
    options.add_argument("--home", type=Path, help="of a champion that exists")
    options.add_argument("--requests", type=int, default=100_000, help="to look at memory with")
    options.add_argument("--point", help="what a process of its own is given")
    given = options.parse_args()
    if given.point:
        print(json.dumps(in_process(json.loads(given.point))))
        return
    each, requests, repeats = (1, 64, 2) if given.quick else (EACH, given.requests, 5)
    with workspace("serving") as folder:
        home = given.home or Path(folder) / "home"
        if given.home is None:
            short = ["--set", "training.budget_seconds=10"] if given.quick else []
            pipeline.lmcore(home, "run", *short, "--json")
        (model,) = json.loads(pipeline.lmcore(home, "status", "--json")[1])["models"]
        name, number = model["model"], model["champion"] or model["challenger"] or 1
        if model["champion"] is None:
            pipeline.lmcore(home, "promote", "1", "--override", "--reason", "a benchmark")
        encode = _encoder(home, name, number)
        results: dict[str, Any] = {"version": number}
        point = {"model": name, "version": number, "each": 2 * each}

        def generate() -> float:
            found = in_child("benchmarks.serving", point, home=home)
            return float(found["tokens_per_second"])

        with (
            served(home) as (port, pid, _),
            served_by_mlflow(home, name) as (other_port, other_pid, seconds),
        ):
            memory = resident_megabytes(pid), resident_megabytes(other_pid)
            few = max(1, each // 4)
            sides = {
                "lmcore_serve": Side(port, ours(name), each),
                "one_prompt": Side(port, ours(name, one_prompt=True), each),
                "mlflow_models_serve": Side(other_port, mlflows, few),
            }
            speeds, faster = measured(sides, encode, generate=generate)
        results["lmcore_serve"] = {"megabytes": memory[0], **speeds["lmcore_serve"]}
        results["lmcore_serve"]["one_prompt"] = speeds["one_prompt"]
        results["mlflow_models_serve"] = {
            "ready_seconds": round(seconds, 2),
            "megabytes": memory[1],
            **speeds["mlflow_models_serve"],
        }
        results["generate"] = speeds["generate"]
        with served(home) as (port, pid, _):
            results["lmcore_serve"] |= {
                "first_token_milliseconds": first_token(port, name, repeats=4 * repeats),
                "memory": soak(port, pid, name, requests=requests),
                "hostile": hostile(port, name, requests=100 if given.quick else 1000),
            }
        more = ["--set", "training.seed=1", "--set", "promote=false", "--force"]
        more += ["--set", f"training.budget_seconds={10 if given.quick else 30}"]
        other = json.loads(pipeline.lmcore(home, "run", *more, "--json")[1])["version"]
        with served(home) as (port, _, _):
            results["champion_moves"] = moves(
                home,
                port,
                name,
                (number, other),
                requests=200 if given.quick else 10_000,
                times=2 if given.quick else 20,
            )

        def ready() -> float:
            with served(home) as (_, _, seconds):
                return seconds

        results["lmcore_serve"]["ready_seconds"] = pipeline.repeatedly(ready, repeats)
    results["ratios"] = faster
    record("serving", results, given)


def _encoder(home: Path, name: str, number: int) -> Callable[[str], int]:
    os.environ["LMCORE_HOME"] = str(home)
    from benchmarks.registered import opened

    tokenizer = opened(name, number).load_tokenizer()
    return lambda text: len(tokenizer.encode(text))


if __name__ == "__main__":
    main()
