"""Ingest: sources in, one `DocumentSet` out, in two streaming passes.

Pass one reads, cleans and masks part by part, on all cores (`part_reading`), and joins
what came of them: exact duplicates are dropped, and each text is staged with its
signature.  Then clusters and sides are decided on columns alone (`staged_texts`).  Pass two
streams the staged texts once more and writes them with their side.  Peak memory
does not depend on the size of the corpus (but for some 40 bytes a text up to six million
texts, from where on near-copies are clustered on disk).

Whatever happened to the text is in `ledger.json`, in counts and bytes that add up:
records read = documents kept + dropped + quarantined.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcore.arrow_memory import share_memory
from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.account import Counts, full_account, summarise, write_sources
from lmcore.data.ingest.assignment import Assignment, assign
from lmcore.data.ingest.earlier_documents import EarlierDocuments, earlier_documents
from lmcore.data.ingest.known_languages import Languages, known_languages, write_languages
from lmcore.data.ingest.language_counts import LanguageCounts
from lmcore.data.ingest.part_keys import write_part_keys
from lmcore.data.ingest.part_pool import WORTH_BYTES
from lmcore.data.ingest.part_task import PartStore, texts_made_of
from lmcore.data.ingest.places import Places
from lmcore.data.ingest.reading_pass import Progress, ReadingPass
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.ingest.staging import Staging
from lmcore.data.ingest.writing_pass import SourceFacts, WritingPass
from lmcore.data.sources.kinds import library_versions
from lmcore.data.sources.located import (
    LocatedSource,
    SourceFingerprint,
    fingerprint_sources,
    source_inputs,
)
from lmcore.data.sources.readers import resolve_unit
from lmcore.data.text.languages import load_beside
from lmcore.data.text.licences import blocked_licenses, blocked_origin, normal_license
from lmcore.data.text.person_names import names_digest
from lmcore.digests import code_digest
from lmcore.errors import SourceError

__all__ = ["SourceFingerprint", "fingerprint_sources", "ingest"]

_CODE = (
    "lmcore.data.copies",
    "lmcore.data.documents",
    "lmcore.data.ingest",
    "lmcore.data.language_codes",
    "lmcore.data.sources",
    "lmcore.data.text",
)

_PART_CODE = (
    "lmcore.data.copies",
    "lmcore.data.documents",
    *(
        f"lmcore.data.ingest.{name}"
        for name in (
            *("earlier_parts", "part_reading", "part_task", "parts", "readability"),
            "removals_file",
        )
    ),
    "lmcore.data.ingest.reading_counts",
    "lmcore.data.sources",
    "lmcore.data.text",
)


def ingest(
    store: ContentStore,
    *,
    sources: Sequence[SourceConfig],
    data: DataConfig,
    policy: PolicyConfig,
    ledger: SplitLedger,
    removals: Removals = NOTHING_REMOVED,
    fingerprint: SourceFingerprint | None = None,
    progress: Progress | None = None,
) -> DocumentSet:
    """Turn sources into documents with sides, or return the finished set of the same input.

    Args:
        store: Where the result goes.
        sources: Sections of the configuration, paths absolute.
        data: How text becomes documents.
        policy: Which licences may be used; what it blocks is reported, not refused, here.
        ledger: Where every document's side is remembered, and for whom it is split.
        removals: Documents that must not be used, nor near-copies of them.
        fingerprint: Of these sources, where the caller has made it already.
        progress: Called with the pass (`read`, `split`, `write`) and a number of documents.

    Raises:
        SourceError: If a source does not exist, lacks a named column, leaves no document, or
            there are too few documents to split; with `on_bad_input: fail`, for any bad input.
        ConfigError: If a licence is no SPDX expression, or the model that finds names cannot
            be used.
        IntegrityError: If the split ledger or the finished folder is damaged.
    """
    share_memory()
    licenses = [
        normal_license(source.license, key=f"sources[{i}].license")
        for i, source in enumerate(sources)
    ]
    blocked = blocked_licenses(licenses, policy=policy)
    if fingerprint is None or len(fingerprint.sources) != len(sources):
        fingerprint = fingerprint_sources(sources)
    located = fingerprint.sources
    inputs = {
        "sources": [source_inputs(source) for source in located],
        "data": data.model_dump(mode="json", exclude={"names"}),
        "names": None if data.names is None else names_digest(data.names),
        # Canaries never come into documents.
        "policy": policy.model_dump(mode="json", exclude={"canaries"}),
        "removals": removals.digest,
        # Who is given documents that are there already must be noted for them.
        "split_for": [ledger.kind, ledger.model],
        "code": code_digest(*_CODE),
        # Numbering plans and check digits decide what is personal data, readers what the text is.
        "libraries": library_versions(
            ("phonenumbers", "python-stdnum"), *(source.libraries for source in located)
        ),
    }

    def make(folder: Path) -> Mapping[str, Any]:
        # Small corpora are read faster than what is kept of them is looked for.
        keeps = fingerprint.bytes >= WORTH_BYTES
        work = folder / "work"
        work.mkdir()
        parts = PartStore(
            root=store.root if keeps else work,
            made_of={
                **{name: inputs[name] for name in ("names", "libraries")},
                "code": code_digest(*_PART_CODE),
            },
        )
        reading = ReadingPass(
            folder,
            located,
            data=data,
            removals=RemovalsFile.write(removals, work),
            parts=parts,
            progress=progress,
        )
        made_of = texts_made_of(parts, data)
        job = _Ingestion(
            folder,
            located,
            licenses=licenses,
            data=data,
            reading=reading,
            before=_Before(
                made_of=made_of,
                languages=known_languages(store, made_of=made_of),
                documents=earlier_documents(store),
            ),
            progress=progress,
        )
        result = job.run(work, ledger, expected=_split_before(store))
        if keeps:
            write_part_keys(folder, reading.keys)
        return {
            **result,
            "blocked_licenses": blocked,
            "blocked_origins": sorted(
                {s.told_origin for s in sources if blocked_origin(s.told_origin, policy=policy)}
            ),
            "removals": len(removals),
        }

    return store.build(DocumentSet, inputs, make)


def _split_before(store: ContentStore) -> bool:
    """Whether a document set is there already, so that a ledger must be, too."""
    folders = (store.root / DocumentSet.kind).glob("*")
    return any(not folder.name.startswith(".") for folder in folders)


@dataclass(frozen=True, kw_only=True)
class _Before:
    """What earlier sets of documents spare this one.

    Attributes:
        made_of: What decides beside an id about a text.
        languages: Of texts.
        documents: That were written.
    """

    made_of: str
    languages: Languages
    documents: EarlierDocuments | None


class _Ingestion:
    """One run over the sources, into one folder."""

    def __init__(
        self,
        folder: Path,
        sources: Sequence[LocatedSource],
        *,
        licenses: Sequence[str],
        data: DataConfig,
        reading: ReadingPass,
        before: _Before,
        progress: Progress | None = None,
    ) -> None:
        self._folder = folder
        self._before = before
        self._sources = sources
        self._licenses = licenses
        self._data = data
        self._progress = progress or (lambda label, number: None)
        self._reading = reading

    def run(self, work: Path, ledger: SplitLedger, *, expected: bool) -> dict[str, Any]:
        staging = Staging(work, near_duplicates=self._data.near_duplicates)
        reading = self._reading
        load_beside()
        try:
            reading.read_all(staging)
            if staging.num_rows == 0:
                raise SourceError(reading.tally.nothing_left([s.config for s in self._sources]))
            if refusal := next(filter(None, reading.refusals), ""):
                raise SourceError(refusal)
            self._progress("split", staging.num_rows)
            places, done = assign(staging, data=self._data, ledger=ledger, expected=expected)
            return self._write(staging, places, done)
        finally:
            staging.close()
            shutil.rmtree(work)

    def _write(self, staging: Staging, places: Places, assignment: Assignment) -> dict[str, Any]:
        count = Counts(len(self._sources))
        languages = LanguageCounts(
            staging.num_rows, asked_for=self._data.languages, known=self._before.languages
        )
        facts = [
            SourceFacts(license=license_, origin=source.config.told_origin)
            for license_, source in zip(self._licenses, self._sources, strict=True)
        ]
        WritingPass(
            self._folder,
            facts,
            made_of=self._before.made_of,
            count=count,
            languages=languages,
            earlier=self._before.documents,
            progress=self._progress,
        ).write_all(staging, places)
        units = [resolve_unit(source, data=self._data) for source in self._sources]
        clusters = places.counts()
        write_sources(
            self._folder / "sources.json",
            self._sources,
            licenses=self._licenses,
            units=units,
            count=count,
        )
        spoken = languages.to_json()
        write_languages(self._folder, languages.languages, made_of=self._before.made_of)
        account = full_account(self._reading.tally, count, clusters, assignment)
        self._write_json("ledger.json", {**account, "languages": spoken})
        self._write_json("personal.json", self._reading.tally.personal.to_json())
        return {
            **summarise(
                self._reading.tally,
                count,
                clusters,
                near_copies=assignment.near_copies,
                licenses=self._licenses,
                units=units,
            ),
            "pii": self._data.pii,
            "phone_regions": self._data.phone_regions,
            "languages": {code: entry["bytes"] for code, entry in spoken["texts"].items()},
            "language_remarks": spoken["remarks"],
        }

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        with (self._folder / name).open("w", encoding="utf-8") as stream:
            json.dump(value, stream, indent=1, ensure_ascii=False)
            stream.write("\n")
