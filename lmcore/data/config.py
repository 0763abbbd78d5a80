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

    path: str | None = Field(None, description="File, folder or glob; relative to the config file.")
    target_path: str | None = Field(
        None, description="Second, line-aligned file of format `parallel`."
    )
    package: str | None = Field(None, description="Installed Python package that carries text.")
    dataset: str | None = Field(
        None, description="Hugging Face dataset id, or a folder with a data set."
    )
    requests: str | None = Field(
        None,
        pattern=f"^{MODEL_NAME}$",
        description="Registered model; the answers to it that people approved or corrected.",
    )
    consent: str = Field(
        "", description="On what grounds requests may be learnt from, in words; requests only."
    )
    dataset_split: str = Field("train", description="Split of the Hugging Face data set.")
    files: str | None = Field(None, description="Glob inside a folder, archive or package.")
    format: SourceFormat = Field(
        "auto",
        description="auto: by each file's ending, and a chat by what it begins with.",
    )
    encoding: str | None = Field(
        None,
        description="Of text files, such as cp1252 or gb18030; null: UTF-8, or UTF-16 and UTF-32"
        " with a mark.",
    )
    delimiter: str | None = Field(
        None, description="Between the cells of a table; null: found in its first rows."
    )
    quote: Literal["double", "single", "none"] | None = Field(
        None, description="Around cells; null: double in csv, none in tsv."
    )
    records: str | None = Field(
        None, description="Path to the list of records inside a JSON or YAML file."
    )
    text_field: str = Field(
        "text",
        description="Column of the input text, or a path: `data.body`, `messages[].content`.",
    )
    target_field: str | None = Field(
        None, description="Column of the label, translation or summary."
    )
    columns: list[str] | None = Field(
        None, description="Column names, for a table without a header."
    )
    list_join: str | None = Field(None, description="Joins a list-valued text field.")
    date_field: str | None = Field(
        None,
        description="Column of a date (YYYY-MM-DD, YYYYMMDD, YYYY-MM or YYYY); `filename` takes it"
        " from the names of plain text files. A year or month stands for its last day.",
    )
    split: Literal["train", "validation"] | None = Field(
        None, description="The source names its own side; null: split by keyed hash."
    )
    license: str = Field("unknown", description="SPDX licence expression, or `unknown`.")
    origin: str = Field("", description="Where the text came from, in words.")

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
        description="What is one document; auto: record for tables, file where there are 50 or"
        " more, else paragraph. Paragraphs are gathered to documents of about 1 to 4 kB.",
    )
    validation_fraction: Fraction = Field(
        0.1, description="Share to hold out; half to twice of it, in documents, is held out."
    )
    tune_fraction: Fraction = Field(0.03, description="Share for early stopping.")
    near_duplicates: bool = Field(
        True, description="Cluster near-copies, not only exact ones and other forms of one text."
    )
    near_duplicate_similarity: Fraction = Field(
        0.7, description="Jaccard similarity of word 5-grams from which two are near-copies."
    )
    near_duplicate_containment: Fraction = Field(
        0.5,
        description="Share of a document's word 5-grams found in a longer one from which the two"
        " are near-copies.",
    )
    pii: Literal["mask", "keep"] = "mask"
    languages: list[str] | None = Field(
        None,
        min_length=1,
        description="Languages that the text should be in, as codes of ISO 639-1; text in others is"
        " remarked on. null: one language, whichever it is.",
    )
    phone_regions: list[str] | None = Field(
        None,
        min_length=1,
        description="Regions (ISO 3166) whose national telephone numbers are masked in whatever"
        " groups they are written; null: those of the sixty that most text comes from, where"
        " a number cannot be taken for a sum of money. International numbers are always masked.",
    )
    names: str | None = Field(
        None,
        description="Folder of a spaCy model that finds names of people, to be masked too; needs"
        " spaCy (`pip install spacy`). Relative to the config file.",
    )
    as_of: date | None = Field(
        None, description="Set aside documents dated later than this, and those without a date."
    )
    min_document_bytes: int = Field(1, ge=1, description="Shorter documents are dropped.")
    max_document_bytes: int = Field(
        16 << 20, ge=1024, description="Longer documents are quarantined."
    )
    on_bad_input: Literal["quarantine", "fail"] = "quarantine"
    max_quarantine_share: float = Field(
        0.01,
        ge=0.0,
        le=1.0,
        description="A run stops where more of a source's records or files cannot be read.",
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
    allow: list[str] | None = Field(
        None, description="SPDX identifiers that may be used, and no others; null: all."
    )
    deny: list[str] = Field(default_factory=list, description="SPDX identifiers not to be used.")
    canaries: Literal["off", "in_run"] = Field(
        "in_run",
        description="Random texts in the training stream, by which memorising is measured.",
    )
    deny_origins: list[str] = Field(
        default_factory=list,
        description="Patterns such as `*example.com*`; sources whose origin fits are blocked.",
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
    vocab_size: int = Field(1024, ge=2, le=1 << 20, description="Upper bound; bpe, char and word.")

    @model_validator(mode="after")
    def _bpe_holds_bytes(self) -> Self:
        if self.kind == "bpe" and self.vocab_size < 258:
            raise ValueError(
                f"vocab_size {self.vocab_size} cannot hold the 256 bytes; expected >= 258 for bpe"
            )
        return self
