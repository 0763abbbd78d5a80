"""Make a home with an earlier release, for the test that today's code still opens it.

    git worktree add ../earlier REVISION
    python tests/homes/make.py ../earlier tests/homes/NAME.tar.xz

In: a checkout of that release, run with the interpreter of this script.  Out: an archive with the
folder of a user of its: configurations, generated text, and a home in which a language model was
promoted twice, refused, overridden and rolled back, a document was forgotten, a classifier was made
from the champion, drift was looked for, and `lmcore up` has written its deployments.  Beside it lie
the answers that the release gave at the end, so that later ones can be held against them.
"""

import contextlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "pipeline_corpus", Path(__file__).parents[1] / "support" / "pipeline_corpus.py"
)
corpus = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(corpus)

MODEL = """\
tokenizer: {kind: bpe, vocab_size: 320}
model: {pattern: LA, d_model: 32, head_dim: 16, num_heads: 2, window: 32, embedding_dim: 16}
schedule: {cron: "0 3 * * 1", timezone: UTC, watch_minutes: 600}
"""
STORIES = (
    """\
name: stories
sources: [{path: "stories-*.jsonl", license: CC0-1.0, origin: generated}]
training: {max_steps: STEPS, batch_size: 8, sequence_length: 64, learning_rate: 0.01, \
warmup_steps: 5, evaluations: 3, precision: float32}
gates:
  evaluation: {resamples: 1000, free_samples: 8}
  champion: {seed_sigma_bits_per_byte: 0.002}
"""
    + MODEL
)
TONE = (
    """\
name: tone
task: sentiment
base: stories
sources:
  - {path: reviews.tsv, columns: [label, text], target_field: label, license: CC0-1.0,
     origin: generated}
data: {validation_fraction: 0.25, tune_fraction: 0.1, near_duplicates: false}
training: {max_steps: 150, batch_size: 32, sequence_length: 96, learning_rate: 0.01, \
warmup_steps: 5, evaluations: 4, precision: float32}
gates: {evaluation: {resamples: 1000}}
"""
    + MODEL
)
GOOD = ("good", "great", "lovely", "fine", "superb", "bright")
BAD = ("bad", "awful", "poor", "dull", "weak", "dreary")
# Made again where it is needed, or without any use when no process runs.
NOT_KEPT = (
    *("cache", "logs", "tmp", "prefect/ui"),
    *("content/baseline", "content/checkpoint", "content/evaluation"),
    *("content/exact-match-index", "content/shards"),
)

ASKED = (
    "status",
    "history --model stories",
    "versions --model stories",
    "versions --model tone",
    "show 2 --model stories",
    "show 1 --model tone",
    "compare 1 2 --model stories",
    "lineage 2 --model stories --documents 3",
    "lineage 1 --model tone",
    "seen one.txt",
    "score one.txt --model stories",
    "generate --model stories --prompt Alexandria --max-tokens 20 --temperature 0 --seed 1",
    "predict --model tone --file reviews.txt",
    "prune --keep 1 --dry-run",
)


def reviews(count):
    rng = random.Random(2)
    for _ in range(count):
        good = rng.random() < 0.5
        first, second = rng.sample(GOOD if good else BAD, 2)
        thing = rng.choice(("film", "book", "play", "song", "meal"))
        text = f"that {thing} number {rng.randrange(10_000)} was {first} and {second} ."
        yield f"{'positive' if good else 'negative'}\t{text}\n"


class Earlier:
    """The command line of a checkout, in a folder of a user."""

    def __init__(self, checkout, folder):
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
        own = {"LMCORE_HOME": str(folder / "home"), "PYTHONPATH": str(checkout.absolute())}
        self.environment = {**kept, **own, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self, *arguments):
        print("lmcore", *arguments, flush=True)
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, code=0):
        process = self.start(*arguments)
        out, err = process.communicate()
        assert process.returncode == code, err
        return json.loads(out)

    def up(self, *arguments):
        """Start the servers, and end them as soon as everything answers."""
        process = self.start("up", *arguments)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert process.returncode == 0, err


def live(earlier):
    """What the user did."""
    folder = earlier.folder
    (folder / "reviews.tsv").write_text("".join(reviews(600)))
    (folder / "tone.yaml").write_text(TONE)
    for steps, start in ((150, 0), (300, 1000)):
        corpus.write_corpus(folder, start=start)
        (folder / "stories.yaml").write_text(STORIES.replace("STEPS", str(steps)))
        answer = earlier.run("run", "--config", "stories.yaml")
        assert answer["outcome"] == "promoted", answer["reason"]
    # The same again is a tie.
    earlier.run("run", "--config", "stories.yaml", "--force", code=3)
    earlier.run("promote", "3", "--reason", "a person decided", "--override")
    earlier.run("rollback", "--reason", "it was no better")
    answer = earlier.run("run", "--config", "tone.yaml")
    assert answer["outcome"] == "promoted", answer["reason"]
    listed = earlier.run("lineage", "2", "--model", "stories", "--documents", "20")["list"]
    document = next(row["id"] for row in listed if row["split"] == "train")
    earlier.run("forget", document, "--reason", "its author asked for it", "--model", "stories")
    corpus.write_corpus(folder, documents=60, start=2000)
    earlier.run("monitor", "--config", "stories.yaml")
    earlier.up("--config", "stories.yaml", "--config", "tone.yaml")


def ask(earlier):
    """Keep what the release answers; its folder is called FOLDER, since the archive has none."""
    folder = earlier.folder
    (folder / "one.txt").write_text(corpus.document(3))
    texts = [line.partition("\t")[2] for line in reviews(3)]
    (folder / "reviews.txt").write_text("".join(texts))
    answers = {command: earlier.run(*command.split()) for command in ASKED}
    text = json.dumps(answers, indent=1).replace(str(folder), "FOLDER")
    (folder / "answers.json").write_text(text)


def shrink(home):
    """Leave out what is no part of a home at rest."""
    for name in NOT_KEPT:
        shutil.rmtree(home / name, ignore_errors=True)
    for path in [*home.rglob("*.lock"), *home.rglob("*.log")]:
        path.unlink()
    for database in (*home.glob("*.sqlite"), *home.glob("*/*.db")):
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("VACUUM")


def main(checkout, archive):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "user"
        folder.mkdir()
        earlier = Earlier(checkout, folder)
        live(earlier)
        shrink(folder / "home")
        ask(earlier)
        shrink(folder / "home")  # of what the answers left in the cache
        pack(folder, archive)
    print(archive, archive.stat().st_size, "bytes")


def pack(folder, archive):
    def anonymous(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(archive, "w:xz", preset=9) as stream:
        stream.add(folder, arcname=".", filter=anonymous)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
