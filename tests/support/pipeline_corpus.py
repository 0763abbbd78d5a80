"""A small corpus with structure that five bytes of context cannot see, so that a tiny model wins.

Each document tells of two people by name; who acted in a sentence acts in the next one too.
"""

import random
from pathlib import Path

NAMES = ("Alexandria", "Bartholomew", "Constantine", "Demetrius", "Evangeline", "Florentina")
VERBS = ("remembered", "considered", "understood", "discovered", "maintained", "abandoned")
THINGS = ("the silver harbour", "an ancient garden", "the northern railway", "a forgotten letter")


def document(seed: int, sentences: int = 12) -> str:
    """One document of a fixed grammar."""
    rng = random.Random(seed)
    lines = []
    who, verb = rng.randrange(6), rng.randrange(6)
    for _ in range(sentences):
        thing = (who * 5 + verb) % 4
        lines.append(
            f"{NAMES[who]} {VERBS[verb]} {THINGS[thing]} in year {rng.randrange(100, 999)}."
        )
        who, verb = (who + 1 + thing) % 6, (verb + who) % 6
    return " ".join(lines)


def write_corpus(folder: Path, *, documents: int = 160, start: int = 0) -> Path:
    """Write JSONL with one document a line."""
    import json

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"stories-{start}.jsonl"
    lines = (json.dumps({"text": document(i)}) for i in range(start, start + documents))
    path.write_text("\n".join(lines) + "\n")
    return path


CONFIG = """\
name: stories
sources:
  - {path: "stories-*.jsonl", license: CC0-1.0, origin: made by a test}
tokenizer: {kind: bpe, vocab_size: 400}
model: {pattern: LA, d_model: 64, head_dim: 32, num_heads: 2, window: 32, embedding_dim: 32}
training:
  max_steps: 150
  batch_size: 8
  sequence_length: 64
  learning_rate: 0.01
  warmup_steps: 5
  evaluations: 3
  precision: float32
gates:
  evaluation: {resamples: 1000}
  champion: {seed_sigma_bits_per_byte: 0.002}
"""
