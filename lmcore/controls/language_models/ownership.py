"""Controls of the gates `pii` and `provenance`: text that must not be used, and text that may.

In: a seed.  Out: what the gate says of a small corpus that is really read, masked and split in a
temporary folder (provenance), or of planted personal data (pii).  Names and numbers are made up.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lmcore.content_store import ContentStore
from lmcore.controls.control import Control, by_seed
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.copies.removal import KEPT, MAX_SHIFT, NOTHING_REMOVED, Removal, Removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.text.cleaning import document_id
from lmcore.data.text.privacy import Masking, Span, SpanHashes, mask
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.pii import pii
from lmcore.evaluation.gates.provenance import provenance
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.inputs import BaseOwnership
from lmcore.evaluation.ownership import examine_ownership, manifest_mismatch
from lmcore.evaluation.pii.evidence import PiiEvidence, keep_all, precision, recall, search
from lmcore.evaluation.pii.planting import plant, plant_near_misses, spelt_out

_DOCUMENTS = 40
_WORDS = 160
# Share of the words that are changed before a removed document is brought back.
_EDITED = 0.05


def _text(rng: random.Random, words: int = _WORDS) -> str:
    return " ".join(f"w{rng.randrange(3000)}" for _ in range(words))


def some_texts(seed: int) -> list[str]:
    """Forty texts of random words."""
    rng = random.Random(f"ownership {seed}")
    return [_text(rng) for _ in range(_DOCUMENTS)]


def _edited(text: str, seed: int) -> str:
    """The text with one word in twenty changed, a sentence in front and one behind."""
    rng = random.Random(f"edits {seed}")
    words = [f"x{rng.randrange(3000)}" if rng.random() < _EDITED else w for w in text.split()]
    return f"As was said before: {' '.join(words)} And so on."


def _removed(text: str) -> Removals:
    return Removals.of(
        [
            Removal(
                document=document_id(text),
                sketch=sketch_text(text, kept=KEPT, max_shift=MAX_SHIFT),
                reason="asked for",
                who="control",
                at="2026-01-01T00:00:00+00:00",
            )
        ]
    )


def judged(
    texts: Sequence[str],
    *,
    license_: str = "CC0-1.0",
    policy: PolicyConfig | None = None,
    at_ingest: Removals = NOTHING_REMOVED,
    in_force: Removals = NOTHING_REMOVED,
    broken: tuple[str, ...] = (),
    made_from: BaseOwnership | None = None,
) -> GateResult:
    """What the gate says of texts that are really read and split, and of what they were learnt by.

    Args:
        texts: One document each.
        license_: Of all of them.
        policy: Of the pipeline.
        at_ingest: Removals that ingest knows of.
        in_force: Removals that the gate knows of.
        broken: What does not fit beside what is found.
        made_from: Of the pretrained model.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / "texts.jsonl"
        source.write_text(
            "".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8"
        )
        documents: DocumentSet = ingest(
            ContentStore(folder / "content"),
            sources=[SourceConfig(path=str(source), license=license_, origin="a control")],
            data=DataConfig(),
            policy=policy or PolicyConfig(),
            ledger=SplitLedger(folder / "splits.sqlite"),
            removals=at_ingest,
        )
        found = examine_ownership(documents, removals=in_force)
    found = replace(found, broken=(*found.broken, *broken), made_from=made_from)
    return provenance(documents.summary, required=True, ownership=found)


def unknown_licence(seed: int) -> GateResult:
    """Text whose licence nobody stated, under the default policy."""
    return judged(some_texts(seed), license_="unknown")


def non_commercial(seed: int) -> GateResult:
    """Non-commercial text in a pipeline that allows three licences only."""
    policy = PolicyConfig(allow=["CC0-1.0", "MIT", "CC-BY-4.0"])
    return judged(some_texts(seed), license_="CC-BY-NC-4.0", policy=policy)


def edited_copy(seed: int) -> GateResult:
    """A removed document that came back with small edits, past an ingest that did not know."""
    texts = some_texts(seed)
    removals = _removed(texts[0])
    return judged([_edited(texts[0], seed), *texts[1:]], in_force=removals)


def changed_manifest(seed: int) -> GateResult:
    """A version whose manifest is not the one that was registered."""
    rng = random.Random(seed)
    found, registered = (f"{rng.getrandbits(256):064x}" for _ in range(2))
    return judged(some_texts(seed), broken=manifest_mismatch(found, registered))


def kept_out(seed: int) -> GateResult:
    """The same edited copy, through an ingest that knows of the removal."""
    texts = some_texts(seed)
    removals = _removed(texts[0])
    return judged(
        [_edited(texts[0], seed), *texts], at_ingest=removals, in_force=removals, broken=()
    )


def allowed_text(seed: int) -> GateResult:
    """Free text, and text under a choice of licences of which one is allowed."""
    return judged(some_texts(seed), license_="CC-BY-NC-4.0 OR CC0-1.0", policy=_ALLOWED)


_ALLOWED = PolicyConfig(allow=["CC0-1.0"])


def _scrub(text: str) -> str:
    return mask(text).text


def _scrub_numbers(text: str) -> str:
    return re.sub(r"[0-9][0-9.,:/ -]{4,}[0-9]", "<ID>", _scrub(text))


def _pii(
    seed: int,
    *,
    scrub: Callable[[str], str] = _scrub,
    in_words: bool = False,
    texts: Sequence[str] = (),
) -> GateResult:
    known = _known(seed)
    planted = plant(seed)
    left, wrong = precision(scrub, plant_near_misses(seed))
    evidence = PiiEvidence(
        masking=scrub is not keep_all,
        recall=recall(scrub, map(spelt_out, planted) if in_words else planted),
        precision=left,
        wrong=wrong,
        egress=search(texts or _harmless(seed), known, masking=Masking()),
        masked={},
    )
    return pii(evidence, limits=GatesConfig.default().pii, required=True)


def _known(seed: int) -> SpanHashes:
    """Personal data of the sources."""
    known = SpanHashes(b"control")
    known.add(Span(kind=item.kind, text=item.span) for item in plant(seed + 1, count=20))
    return known


def _harmless(seed: int) -> list[str]:
    """What a model may write: ordinary text, placeholders, and numbers that it made up."""
    # Some kinds of number are so few that the same one is drawn twice: that one is not made up.
    drawn, known = plant(seed + 2, count=5), _known(seed)
    made_up = [i.text for i in drawn if Span(kind=i.kind, text=i.span) not in known]
    return [*some_texts(seed)[:20], "Write to <EMAIL> or call <PHONE>.", *made_up]


def scrubber_off(seed: int) -> GateResult:
    """Nothing is masked."""
    return _pii(seed, scrub=keep_all)


def unseen_formats(seed: int) -> GateResult:
    """Personal data written as masking does not know it: in words."""
    return _pii(seed, in_words=True)


def every_number(seed: int) -> GateResult:
    """Masking that takes whatever looks like a number: dates, versions, sums of money."""
    return _pii(seed, scrub=_scrub_numbers)


def leaked(seed: int) -> GateResult:
    """One of forty generated texts gives away a number that stands in the sources."""
    secret = plant(seed + 1, count=20)[seed % 20]
    return _pii(seed, texts=[*_harmless(seed), secret.text])


def masked(seed: int) -> GateResult:
    """Masking as installed, and a model that makes its numbers up."""
    return _pii(seed)


CONTROLS = (
    Control(
        gate="provenance",
        name="unknown licence",
        kind="negative",
        run=by_seed(unknown_licence),
        cost_seconds=0.3,
    ),
    Control(
        gate="provenance",
        name="non-commercial text in a commercial pipeline",
        kind="negative",
        run=by_seed(non_commercial),
        cost_seconds=0.3,
    ),
    Control(
        gate="provenance",
        name="removed document back with small edits",
        kind="negative",
        run=by_seed(edited_copy),
        cost_seconds=0.3,
    ),
    Control(
        gate="provenance",
        name="another manifest than the registered one",
        kind="negative",
        run=by_seed(changed_manifest),
        cost_seconds=0.3,
    ),
    Control(
        gate="provenance",
        name="removed document kept out at ingest",
        kind="healthy",
        run=by_seed(kept_out),
        cost_seconds=0.3,
    ),
    Control(
        gate="provenance",
        name="allowed text",
        kind="healthy",
        run=by_seed(allowed_text),
        cost_seconds=0.3,
    ),
    Control(
        gate="pii",
        name="scrubber off",
        kind="negative",
        run=by_seed(scrubber_off),
        cost_seconds=2,
    ),
    Control(
        gate="pii",
        name="unseen formats",
        kind="negative",
        run=by_seed(unseen_formats),
        cost_seconds=2,
    ),
    Control(
        gate="pii",
        name="every number masked",
        kind="negative",
        run=by_seed(every_number),
        cost_seconds=2,
    ),
    Control(
        gate="pii",
        name="generated text gives away a number of the sources",
        kind="negative",
        run=by_seed(leaked),
        cost_seconds=2,
    ),
    Control(
        gate="pii",
        name="masking on, numbers made up",
        kind="healthy",
        run=by_seed(masked),
        cost_seconds=2,
    ),
)
