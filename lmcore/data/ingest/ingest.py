"""Ingest: sources in, one `DocumentSet` out, in two streaming passes.

Pass one reads, cleans, masks, drops exact duplicates and stages each text with its
signature.  Then clusters and sides are decided on the index alone.  Pass two
streams the staged texts once more and writes them with their side.  Peak memory
does not depend on the size of the corpus (but for some 40 bytes a text).

Whatever happened to the text is in `ledger.json`, in counts and bytes that add up:
records read = documents kept + dropped + quarantined.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lmcore.artifacts import ContentStore, code_digest, digest
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.data.documents import DocumentSet, RowWriter
from lmcore.data.ingest.account import Counts, describe_sources, full_account, summarise
from lmcore.data.ingest.assignment import Assignment, assign
from lmcore.data.ingest.language_counts import LanguageCounts
from lmcore.data.ingest.readability import Readability
from lmcore.data.ingest.reading_counts import WITHOUT_DATE, Tally
from lmcore.data.ingest.split import in_anchor_slice
from lmcore.data.ingest.staging import Staged, Staging
from lmcore.data.sources.located import (
    LocatedSource,
    SourceFingerprint,
    fingerprint_sources,
    source_inputs,
)
from lmcore.data.sources.readers import read_source, resolve_unit
from lmcore.data.sources.records import BadInput, Item, LeftOut, Opened, Record
from lmcore.data.text.cleaning import UnusableTextError, clean, document_id, utf8_bytes
from lmcore.data.text.folding import is_blank
from lmcore.data.text.licences import blocked_licenses, blocked_origin, normal_license
from lmcore.data.text.masking import DocumentMasking
from lmcore.data.text.person_names import names_digest
from lmcore.errors import SourceError

__all__ = ["SourceFingerprint", "fingerprint_sources", "ingest"]

Progress = Callable[[str, int], None]
_CODE = (
    "lmcore.data.copies",
    "lmcore.data.documents",
    "lmcore.data.ingest",
    "lmcore.data.language_codes",
    "lmcore.data.sources",
    "lmcore.data.text",
)
_REPORT_EVERY = 1000
#: Why a text was dropped that somebody asked to forget.
REMOVED = "removed"


def ingest(
    store: ContentStore,
    *,
    sources: Sequence[SourceConfig],
    data: DataConfig,
    policy: PolicyConfig,
    ledger_path: Path,
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
        ledger_path: SQLite file that remembers every document's side.
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
        "code": code_digest(*_CODE),
        # Their numbering plans and check digits decide what is personal data.
        "libraries": {name: version(name) for name in ("phonenumbers", "python-stdnum")},
    }

    def make(folder: Path) -> Mapping[str, Any]:
        job = Ingestion(
            folder, located, licenses=licenses, data=data, removals=removals, progress=progress
        )
        return {
            **job.run(ledger_path),
            "blocked_licenses": blocked,
            "blocked_origins": sorted(
                {s.origin for s in sources if blocked_origin(s.origin, policy=policy)}
            ),
            "removals": len(removals),
        }

    return store.build(DocumentSet, inputs, make)


class Ingestion:
    """One run over the sources, into one folder.

    Attributes:
        tally: What became of everything that was read.
        refusals: For each source that could not be read well enough, why a run must not go on.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[LocatedSource],
        *,
        licenses: Sequence[str],
        data: DataConfig,
        removals: Removals,
        progress: Progress | None = None,
        watch: Callable[[int, Item], None] | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            folder: Where everything is written.
            sources: Located.
            licenses: Of each source.
            data: How text becomes documents.
            removals: What must not be used.
            progress: Called with the pass and a number of documents.
            watch: Called with the number of the source and each piece that is read.
        """
        self._folder = folder
        self._sources = sources
        self._licenses = licenses
        self._data = data
        self._removals = removals
        self._masking = DocumentMasking.of(data)
        self._progress = progress or (lambda label, number: None)
        self._watch = watch or (lambda source, item: None)
        # The salt comes from the data, so that the same data gives the same folder anywhere.
        salt = bytes.fromhex(digest([source.digest for source in sources]))
        self.tally = Tally(folder / "quarantine.jsonl", salt=salt)
        self.refusals: list[str] = []

    def run(self, ledger_path: Path) -> dict[str, Any]:
        work = self._folder / "work"
        work.mkdir()
        staging = Staging(work, near_duplicates=self._data.near_duplicates)
        try:
            self.read_all(staging)
            if staging.num_rows == 0:
                raise SourceError(self.tally.nothing_left([s.config for s in self._sources]))
            if refusal := next(filter(None, self.refusals), ""):
                raise SourceError(refusal)
            self._progress("split", staging.num_rows)
            assignment = assign(staging, data=self._data, ledger_path=ledger_path)
            return self._write(staging, assignment)
        finally:
            staging.close()
            shutil.rmtree(work)

    def read_all(self, staging: Staging) -> None:
        """Pass one: read, clean, mask and stage every text."""
        with self.tally:
            for index, source in enumerate(self._sources):
                self._read(index, source, staging)
            staging.finish()

    def _read(self, index: int, source: LocatedSource, staging: Staging) -> None:
        files = {file.name for file in source.files}
        last_name, last_file, first_row = "", "", staging.num_rows
        readability = Readability()
        for item in read_source(source, data=self._data):
            self._watch(index, item)
            if isinstance(item, LeftOut | Opened):
                self.tally.skipped([item] if isinstance(item, LeftOut) else [])
                continue
            self.tally.record()
            readability.record(item.file)
            if item.file != last_name:
                # A member of an archive belongs to the archive: all of it goes with a bomb.
                last_name, file = item.file, _file_of(item.file, files)
                if file != last_file:
                    last_file, first_row = file, staging.num_rows
            if isinstance(item, BadInput):
                if item.condemns_file:
                    self.tally.drop("of_a_condemned_file", staging.forget_from(first_row), 0)
                self._quarantine(item, readability)
            elif (bad := self._stage(item, index, source.config, staging)) is not None:
                self._watch(index, bad)
                self._quarantine(bad, readability)
            if readability.records % _REPORT_EVERY == 0:
                self._progress("read", staging.num_rows)
        self.tally.skipped(source.skipped)
        for left in source.skipped:
            self._watch(index, left)
        config, limit = source.config, self._data.max_quarantine_share
        place = f"sources[{index}] ({config.path or config.package or config.dataset})"
        self.refusals.append(readability.refusal(place=place, limit=limit))

    def _quarantine(self, item: BadInput, readability: Readability) -> None:
        readability.quarantine(item)
        where = f"{item.file}:{item.position}" if item.position else item.file
        if self._data.on_bad_input == "fail":
            raise SourceError(
                f"{where}: {item.reason}; mend or remove it, or set data.on_bad_input: quarantine"
            )
        self.tally.quarantine(item)

    def _stage(
        self, record: Record, index: int, config: SourceConfig, staging: Staging
    ) -> BadInput | None:
        """Stage a record; returns it as bad input where its text cannot be used."""
        data, tally = self._data, self.tally
        name = f"{record.file}:{record.position}" if record.position else record.file
        try:
            text, size = self._clean(record.text)
            target = None
            if record.target is not None:
                target, _ = self._clean(record.target, is_target=True)
            if size > data.max_document_bytes:
                raise UnusableTextError(
                    f"{size} bytes, more than data.max_document_bytes={data.max_document_bytes}"
                )
        except UnusableTextError as error:
            return BadInput(file=record.file, position=record.position, reason=str(error))
        if is_blank(text) or (target is not None and is_blank(target)):
            tally.drop("empty", 1, size)
        elif size < data.min_document_bytes:
            tally.drop("shorter_than_min_document_bytes", 1, size)
        elif data.as_of and record.date is None:  # nobody can say that it is not later
            tally.drop(WITHOUT_DATE, 1, size, name=name)
        elif data.as_of and record.date and record.date > data.as_of.isoformat():
            tally.drop("later_than_as_of", 1, size)
        elif self._removals.match(identity := document_id(text), text) is not None:
            tally.drop(REMOVED, 1, size)
        else:
            staged = Staged(
                id=bytes.fromhex(identity),
                text=text,
                name=name,
                source=index,
                num_bytes=size,
                date=record.date,
                target=target,
            )
            if not staging.add(staged, forced=config.split):
                tally.duplicate(name, size)
        return None

    def _clean(self, text: str, *, is_target: bool = False) -> tuple[str, int]:
        cleaned = clean(text)
        if not is_target:
            self.tally.cleaned(cleaned)
        masked = self._masking.find(cleaned.text)
        self.tally.found(masked)
        if self._masking.keeps:
            return cleaned.text, cleaned.num_bytes
        self.tally.masked(masked)
        return masked.text, utf8_bytes(masked.text) if masked.counts else cleaned.num_bytes

    def _write(self, staging: Staging, assignment: Assignment) -> dict[str, Any]:
        count = Counts(len(self._sources))
        languages = LanguageCounts(staging.num_rows, asked_for=self._data.languages)
        decided = iter(staging.decided())
        following = next(decided, None)
        with RowWriter(self._folder) as writer:
            for row in staging.rows():
                if following is None or following.stage != row["stage"]:
                    continue  # of a condemned file
                place, following = following, next(decided, None)
                source = row["source"]
                in_anchor = place.side == "validation" and in_anchor_slice(place.cluster)
                writer.add(
                    place.id.hex(),
                    row["text"],
                    row["name"],
                    source,
                    self._licenses[source],
                    self._sources[source].config.origin,
                    row["num_bytes"],
                    place.side,
                    in_anchor,
                    place.cluster.hex(),
                    row["date"],
                    row["target"],
                    num_bytes=row["num_bytes"] + len(row["target"] or ""),
                )
                count.add(place, source=source, num_bytes=row["num_bytes"], name=row["name"])
                count.anchors += in_anchor
                languages.add(place.id, row["text"], row["target"])
                if count.documents % _REPORT_EVERY == 0:
                    self._progress("write", count.documents)
        self._progress("write", count.documents)
        units = [resolve_unit(source, data=self._data) for source in self._sources]
        clusters = staging.clusters()
        self._write_json(
            "sources.json",
            {"sources": describe_sources(self._sources, self._licenses, units, count)},
        )
        spoken = languages.to_json()
        account = full_account(self.tally, count, clusters, assignment)
        self._write_json("ledger.json", {**account, "languages": spoken})
        self._write_json("personal.json", self.tally.personal.to_json())
        return {
            **summarise(
                self.tally,
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
        text = json.dumps(value, indent=1, ensure_ascii=False)
        (self._folder / name).write_text(text + "\n", encoding="utf-8")


def _file_of(name: str, files: set[str]) -> str:
    """The file that a member belongs to; the name itself for a file."""
    while name not in files and "/" in name:
        name = name.rpartition("/")[0]
    return name
