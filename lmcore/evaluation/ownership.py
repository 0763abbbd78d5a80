"""Who owns the text, and was it meant to be here: the facts behind the gate `provenance`.

In: the documents of a run, the tokenizer and shards that were made of them, the removals in force,
and the pretrained model that the weights are made from.  Out: `Ownership`, `BaseOwnership`.
Nothing is taken from the summary alone: licences are read from the rows, removed documents are
looked for again in what will be trained on, and the chain from documents to shards is followed by
its hashes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lmcore.content_store import Handle
from lmcore.counted import counted, named
from lmcore.data.config import PolicyConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.data.documents import DocumentSet
from lmcore.data.text.licences import allowed, blocked_origin, normal_license
from lmcore.errors import ConfigError
from lmcore.evaluation.inputs import BaseOwnership
from lmcore.manifest import Manifest
from lmcore.model.pretrained.base import LIBRARY_WEIGHTS_FILE, Base

#: Documents that are named in the evidence.
MAX_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """What was found.

    Attributes:
        removals: Removals in force.
        kept_out: Texts that ingest left out because of them.
        removed_in_use: Documents that are used although they, or near-copies of them, were
            removed: `name (id)`.
        num_removed_in_use: How many; the names are at most `MAX_NAMED`.
        broken: What does not fit together, in words.
        base: Model and version that the weights start from; "" where they start from nothing.
        base_removed: Documents that this one was trained on and that were removed since.
        made_from: Of the pretrained model that the weights were made from; None: of none.
    """

    removals: int = 0
    kept_out: int = 0
    removed_in_use: tuple[str, ...] = ()
    num_removed_in_use: int = 0
    broken: tuple[str, ...] = ()
    base: str = ""
    base_removed: int = 0
    made_from: BaseOwnership | None = None


def examine_ownership(
    documents: DocumentSet,
    *,
    tokenizer: Handle | None = None,
    shards: Handle | None = None,
    removals: Removals = NOTHING_REMOVED,
) -> Ownership:
    """Look at the documents that will be trained, tuned or judged on.

    Args:
        documents: The data of this run.
        tokenizer: Fitted on them; None is not followed.
        shards: Their tokens; None is not followed.
        removals: What must not be among them.
    """
    named: list[str] = []
    count = 0
    if removals:
        for document in documents.iter_documents("train", "tune", "validation"):
            if removals.match(document.id, document.text) is not None:
                count += 1
                if len(named) < MAX_NAMED:
                    named.append(f"{document.name} ({document.id[:12]})")
    return Ownership(
        removals=len(removals),
        kept_out=int(documents.summary.get("removed_documents", 0)),
        removed_in_use=tuple(named),
        num_removed_in_use=count,
        broken=(*_rows(documents), *_chain(documents, tokenizer=tokenizer, shards=shards)),
    )


def examine_base(
    base: Base, *, policy: PolicyConfig, registered_weights: str | None = None
) -> BaseOwnership:
    """Look at the pretrained model that weights are made from, by the policy for text.

    Args:
        base: Its folder.
        policy: Which licences and origins may be used.
        registered_weights: SHA-256 that the registry has of its weights; None: it is not there yet.

    Raises:
        IntegrityError: If the folder does not say what it is.
    """
    record = base.record()
    broken, blocked = [], []
    license_ = record.license
    try:
        license_ = normal_license(license_)
        if not allowed(license_, policy=policy):
            blocked.append("license")
    except ConfigError:
        broken.append(f"its licence {license_!r} is no SPDX expression")
    # The place is an origin too: a pattern such as `*owner/*` means the hub's models of an owner.
    if any(blocked_origin(text, policy=policy) for text in (record.origin, record.source)):
        blocked.append("origin")
    listed = Manifest.read(base.path).files.get(LIBRARY_WEIGHTS_FILE, (0, ""))[1]
    for whose, expected in (("record", record.weights_sha256), ("registry", registered_weights)):
        if expected is not None and listed != expected:
            broken.append(
                f"the sha256 of its weights is {listed[:12]}, the {whose} says {expected[:12]}"
            )
    return BaseOwnership(
        name=record.name, license=license_, blocked=tuple(blocked), broken=tuple(broken)
    )


def manifest_mismatch(found: str, registered: str) -> tuple[str, ...]:
    """What is wrong where the hash of a version's manifest is not the registered one."""
    if found == registered:
        return ()
    return (f"the manifest's sha256 is {found[:12]}, the registry says {registered[:12]}",)


def _rows(documents: DocumentSet) -> list[str]:
    """Every document has a source and a licence that parses, and they add up to the summary."""
    problems = []
    sizes: Counter[str] = Counter()
    unsourced = 0
    try:
        sources = documents.sources()
    except FileNotFoundError:
        return ["the documents do not say which sources they come from"]
    for row in documents.iter_rows():
        sizes[row["license"]] += row["num_bytes"]
        unsourced += not 0 <= row["source"] < len(sources)
    if unsourced:
        problems.append(
            f"{counted(unsourced, 'document')} {named(unsourced, 'names', 'name')} no source"
        )
    for license_ in sorted(sizes):
        try:
            normal_license(license_)
        except ConfigError:
            problems.append(f"{license_!r} is no SPDX expression")
    # A source may have given no document: then it has a licence of zero bytes.
    stated = {name: size for name, size in documents.summary.get("licenses", {}).items() if size}
    if dict(sizes) != stated:
        problems.append("the bytes by licence are not those of the documents")
    unhashed = sum(
        1 for s in sources for file in s["files"] if not file["sha256"] and not file["problem"]
    )
    if unhashed:
        problems.append(
            f"{counted(unhashed, 'file')} of the sources {named(unhashed, 'has', 'have')} no sha256"
        )
    return problems


def _chain(documents: DocumentSet, *, tokenizer: Handle | None, shards: Handle | None) -> list[str]:
    problems = []
    for words, handle in (("the tokenizer was", tokenizer), ("the shards were", shards)):
        if handle is None:
            continue
        inputs = Manifest.read(handle.path).inputs
        if handle is tokenizer and "documents" not in inputs and inputs.get("base"):
            continue  # it came with the model that was gone on from
        made_of = inputs.get("documents")
        if made_of != documents.key:
            problems.append(f"{words} not made of these documents")
    return problems
