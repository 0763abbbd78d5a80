"""Configuration of sources, ingest and tokenizer: which text, under which licence, cut how."""

import codecs
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lmcore.data.language_codes import KNOWN, counts_as
from lmcore.settings import MODEL_NAME, Section

SourceFormat = Literal[
    "auto", "text", "lines", "markdown", "jsonl", "json", "yaml", "csv", "tsv", "parquet", "xlsx",
    "html", "pdf", "docx", "odt", "epub", "rtf", "mail", "mbox", "subtitles", "chat", "parallel",
]  # fmt: skip
_PLACES = ("path", "package", "dataset", "requests")
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]


def _is_text_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        return False


class SourceConfig(Section):
    """One place that text comes from.

    Exactly one of `path`, `package`, `dataset`, `requests` is set.
    """

    path: str | None = Field(
        None,
        description="File, folder, archive or glob to read; relative to the config file, or an"
        " address (s3://, gs://, az://, hf://, https://). One of the four places that text can come"
        " from.",
    )
    target_path: str | None = Field(
        None,
        description="Second file of format `parallel`: its line n is the translation of line n of"
        " `path`.",
    )
    package: str | None = Field(
        None,
        description="Installed Python package that carries text; it is read as files and never"
        " imported. `files` says which.",
    )
    dataset: str | None = Field(
        None,
        description="Id of a data set of the Hugging Face hub, which is fetched over the network,"
        " or a folder with a data set, which is not.",
    )
    requests: str | None = Field(
        None,
        pattern=f"^{MODEL_NAME}$",
        description="Registered model that was served with `serve.record`: its answers that people"
        " approved or corrected are the text. Needs `consent`.",
    )
    consent: str = Field(
        "",
        description="On what grounds requests may be learnt from, in words; with `requests` only,"
        " and needed there. Goes into the lineage of each version.",
    )
    dataset_split: str = Field(
        "train", description="Which split of `dataset` is read, by its name in the data set."
    )
    files: str | None = Field(
        None,
        description="Glob of the files to read inside a folder, archive or package; null: all that"
        " hold text.",
    )
    format: SourceFormat = Field(
        "auto",
        description="How files are read. auto: by each file's ending, and a chat by what it begins"
        " with; name one where endings are missing or wrong.",
    )
    encoding: str | None = Field(
        None,
        description="Encoding of text files, such as cp1252 or gb18030; null: UTF-8, or UTF-16 and"
        " UTF-32 with a mark. It is never guessed, as a wrong guess would be learnt.",
    )
    delimiter: str | None = Field(
        None,
        description="Character between the cells of a table; null: the one that cuts its first"
        " rows into the wanted columns.",
    )
    quote: Literal["double", "single", "none"] | None = Field(
        None,
        description="Quotation mark around cells of a table; null: double in csv, none in tsv,"
        " where it is text.",
    )
    records: str | None = Field(
        None,
        description="Path to the list of records inside a JSON or YAML file, such as `data.rows`;"
        " null: the file is the list.",
    )
    text_field: str = Field(
        "text",
        description="Column of the text, or a path into nested data: `data.body`,"
        " `messages[].content`. Plain text has no columns.",
    )
    target_field: str | None = Field(
        None,
        description="Column of the label, translation or summary; needed by tasks, unused by"
        " language modelling.",
    )
    columns: list[str] | None = Field(
        None,
        description="Names of the columns, in order, of a table without a header; null: its first"
        " row is the header.",
    )
    list_join: str | None = Field(
        None,
        description="Text between the parts of a field that is a list, such as a blank for a list"
        " of sentences; null: a path's parts are joined by a line end, any other list is refused.",
    )
    date_field: str | None = Field(
        None,
        description="Column of a date (YYYY-MM-DD, YYYYMMDD, YYYY-MM or YYYY); `filename` takes it"
        " from the names of plain text files. A year or month stands for its last day.",
    )
    split: Literal["train", "validation"] | None = Field(
        None,
        description="Side of all documents of this source, where somebody has split the data"
        " already; null: by a keyed hash, so that each keeps its side for ever.",
    )
    license: str = Field(
        "unknown",
        description="Licence of the text as an SPDX expression, such as CC0-1.0, or `unknown`,"
        " which `policy.unknown_license` decides about.",
    )
    origin: str = Field(
        "",
        description="Where the text came from, in words; shown in cards and reports, and what"
        " `policy.deny_origins` looks at.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = [name for name in _PLACES if getattr(self, name)]
        if len(places) != 1:
            found = " and ".join(places) or "none"
            raise ValueError(f"expected exactly one of {', '.join(_PLACES)}; found {found}")
        if bool(self.consent.strip()) != (self.requests is not None):
            raise ValueError(
                "requests needs consent, and consent needs requests: say on what grounds what"
                " people wrote may be learnt from"
            )
        if self.requests is not None and self.format != "auto":
            raise ValueError("requests have a form of their own; leave format out")
        if (self.format == "parallel") != (self.target_path is not None):
            raise ValueError("format parallel needs target_path, and target_path needs it")
        return self

    @property
    def place(self) -> str:
        """Where it is, as its section says."""
        return self.path or self.package or self.dataset or f"requests of {self.requests}"

    @property
    def told_origin(self) -> str:
        """Where the text came from; of requests with the consent to it."""
        if self.requests is None:
            return self.origin
        asked = self.origin or f"answers of {self.requests} that its users approved or corrected"
        return f"{asked}; consent: {self.consent}"

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str | None) -> str | None:
        if name is not None and not _is_text_encoding(name):
            raise ValueError("expected the name of an encoding of text, such as cp1252 or utf-16")
        return name

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in "\r\n\"'"):
            raise ValueError('expected one character, such as ";", "|" or "\\t"')
        return delimiter


class DataConfig(Section):
    """How raw text becomes documents, and documents become train and validation."""

    unit: Literal["auto", "file", "paragraph", "line", "record"] = Field(
        "auto",
        description="What one document is: it is held out, deduplicated, counted and forgotten as"
        " a whole. auto: record for tables, file where there are 50 or more, else paragraph."
        " Paragraphs are gathered to documents of about 1 to 4 kB.",
    )
    validation_fraction: Fraction = Field(
        0.1,
        description="Share of the documents that no model learns from, to judge every model on;"
        " half to twice of it is held out, as near-copies stay together. More gives narrower"
        " intervals and less to learn from.",
    )
    tune_fraction: Fraction = Field(
        0.03,
        description="Share of the documents by which the best moment of a training is chosen; it"
        " is neither learnt nor judged on.",
    )
    near_duplicates: bool = Field(
        True,
        description="Whether near-copies stay on one side of the split, and not only exact copies"
        " and other forms of one text. Without it, edited copies of held-out text may be learnt.",
    )
    near_duplicate_similarity: Fraction = Field(
        0.7,
        description="Jaccard similarity of word 5-grams from which two documents are near-copies;"
        " lower finds copies that were edited more, and joins more that are none.",
    )
    near_duplicate_containment: Fraction = Field(
        0.5,
        description="Share of a document's word 5-grams found in a longer one from which the two"
        " are near-copies: an excerpt is hardly similar to the whole.",
    )
    pii: Literal["mask", "keep"] = "mask"
    """Whether personal data (addresses, telephone, card and account numbers ...) is masked before
    anything learns from it, and in what a version is asked; keep leaves the text as it is.
    """
    languages: list[str] | None = Field(
        None,
        min_length=1,
        description="Languages that the text should be in, as codes of ISO 639-1 such as en; text"
        " in others is remarked on and kept. null: one language, whichever it is.",
    )
    phone_regions: list[str] | None = Field(
        None,
        min_length=1,
        description="Regions (ISO 3166) whose national telephone numbers are masked in whatever"
        " groups they are written; null: those of the sixty that most text comes from, where a"
        " number cannot be taken for a sum of money. International numbers are always masked.",
    )
    names: str | None = Field(
        None,
        description="Folder of a spaCy model that finds names of people, to be masked too; needs"
        " spaCy (`pip install spacy`). Relative to the config file. null: names stay, as no rule"
        " finds them.",
    )
    as_of: date | None = Field(
        None,
        description="Day up to which text is used: documents dated later, and those without a"
        " date, are set aside. Needs `sources.0.date_field`. null: all text.",
    )
    min_document_bytes: int = Field(
        1,
        ge=1,
        description="Documents of fewer bytes are dropped and counted; raise it where titles or"
        " empty records are no text.",
    )
    max_document_bytes: int = Field(
        16 << 20,
        ge=1024,
        description="Documents of more bytes are quarantined, so that memory stays bounded; 16 MiB"
        " is longer than any book.",
    )
    on_bad_input: Literal["quarantine", "fail"] = "quarantine"
    """What becomes of a record or file that cannot be read: it is set aside with its reason, or the
    run stops at the first one.
    """
    max_quarantine_share: float = Field(
        0.01,
        ge=0.0,
        le=1.0,
        description="Share of a source's records, or of its files, that may be set aside as"
        " unreadable; beyond it the run stops, as what is left would be another text.",
    )

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, codes: list[str] | None) -> list[str] | None:
        for code in codes or ():
            if counts_as(code) not in KNOWN:
                raise ValueError(f"{code!r} is no language that can be told; expected en, de or so")
        return codes

    @field_validator("phone_regions", mode="before")
    @classmethod
    def _norway(cls, regions: Any) -> Any:
        # YAML reads a bare NO as false.
        return (
            ["NO" if r is False else r for r in regions] if isinstance(regions, list) else regions
        )

    @field_validator("phone_regions")
    @classmethod
    def _known_regions(cls, regions: list[str] | None) -> list[str] | None:
        if regions is None:
            return None
        from phonenumbers import SUPPORTED_REGIONS

        known = sorted({region.upper() for region in regions})
        if unknown := [region for region in known if region not in SUPPORTED_REGIONS]:
            raise ValueError(
                f"{unknown[0]!r} is no region with a numbering plan; expected codes of ISO 3166"
                " such as DE, FR, US"
            )
        return known

    @model_validator(mode="after")
    def _room_for_train(self) -> Self:
        if self.validation_fraction + self.tune_fraction > 0.8:
            raise ValueError(
                f"validation_fraction + tune_fraction = "
                f"{self.validation_fraction + self.tune_fraction:g} leaves too little to train on;"
                " expected at most 0.8"
            )
        return self


class PolicyConfig(Section):
    """Which text may be trained on."""

    unknown_license: Literal["block", "allow"] = "block"
    """Whether a version that learnt from text of unknown licence may be promoted. allow suits your
    own use; block is right before a model is shared.
    """
    allow: list[str] | None = Field(
        None,
        description="SPDX identifiers of the only licences that may be used; null: every licence"
        " but those of `deny`.",
    )
    deny: list[str] = Field(
        default_factory=list,
        description="SPDX identifiers of licences that may not be used; a source under one keeps a"
        " version from promotion.",
    )
    canaries: Literal["off", "in_run"] = Field(
        "in_run",
        description="Whether up to 256 random texts of 29 bytes are put into the training stream,"
        " by which the gate exposure measures memorising; at most half a percent of the text, and"
        " never generated.",
    )
    deny_origins: list[str] = Field(
        default_factory=list,
        description="Patterns such as `*example.com*`; a source whose `origin` fits one keeps a"
        " version from promotion.",
    )

    @model_validator(mode="after")
    def _something_is_allowed(self) -> Self:
        if self.allow is not None and not self.allow:
            raise ValueError("allow is empty, so every licence is blocked; name one, or use null")
        if both := sorted({a.lower() for a in self.allow or ()} & {d.lower() for d in self.deny}):
            raise ValueError(f"{both[0]} is in allow and in deny; take it out of one of them")
        return self


class TokenizerConfig(Section):
    """How text is cut into tokens."""

    kind: Literal["byte", "char", "word", "bpe"] = "bpe"
    """What a token is: a byte, a character, a word (for text that is cut into words already), or a
    frequent sequence of bytes (bpe), which suits any text.
    """
    vocab_size: int = Field(
        1024,
        ge=2,
        le=1 << 20,
        description="Most tokens of the vocabulary, for bpe, char and word. More tokens read text"
        " in fewer steps and need more text to be learnt: 1,024 for megabytes, 16,384 for"
        " gigabytes.",
    )

    @model_validator(mode="after")
    def _bpe_holds_bytes(self) -> Self:
        if self.kind == "bpe" and self.vocab_size < 258:
            raise ValueError(
                f"vocab_size {self.vocab_size} cannot hold the 256 bytes; expected >= 258 for bpe"
            )
        return self
