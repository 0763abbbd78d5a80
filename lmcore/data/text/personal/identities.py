"""Find national identity numbers and social security numbers.

In: the view of a text.  Out: where numbers stand: `SSN` for those of the United States, `ID` for
all others.  A number is taken by its shape and its check digits (`python-stdnum`; the rules that it
lacks are in `check_digits`).  Where a shape is too common and the check too weak, as with nine or
ten bare digits, a word in front must say what it is.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from lmcore.data.text.personal.check_digits import OWN
from lmcore.data.text.personal.scripts import SPACED
from lmcore.data.text.personal.spans import Found

#: Shapes that begin with a digit, and the numbers that are written so.
_SHAPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cpf": (r"\d{3}\.\d{3}\.\d{3}-\d\d", ("br.cpf",)),
    "snils": (r"\d{3}-\d{3}-\d{3}[ -]\d\d", ("snils",)),
    "ahv": (r"756\.\d{4}\.\d{4}\.\d\d|756\d{10}", ("ch.ssn",)),
    "nn": (r"\d\d\.\d\d\.\d\d[ -]\d{3}[ .-]\d\d", ("be.nn",)),
    "nir": (r"[12] ?\d\d ?\d\d ?\d[\dABab] ?\d{3} ?\d{3} ?\d\d", ("fr.nir",)),
    "tin": (r"\d\d[ /]\d{3}[ /]\d{3}[ /]\d{3}", ("de.idnr",)),
    "aadhaar": (r"[2-9]\d{3} \d{4} \d{4}", ("in_.aadhaar",)),
    "ric": (r"[1-9]\d{16}[\dXx]", ("ric",)),
    "thai": (r"\d-\d{4}-\d{5}-\d\d-\d", ("th.pin",)),
    "malay": (r"\d{6}-\d\d-\d{4}", ("my.nric",)),
    "rrn": (r"\d{6}-[1-8]\d{6}", ("rrn",)),
    "long_dated": (r"(?:19|20)\d{6}[ -]?\d{4}", ("se.personnummer",)),
    "hetu": (r"\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]", ("fi.hetu", "se.personnummer")),
    # Not the 385307th of 2025.
    "rc": (r"\d{6}/(?!(?:19|20)\d\d)\d{3,4}", ("cz.rc",)),
    "rut": (r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", ("cl.rut", "es.dni")),
    "dni": (r"(?:\d{8}|\d\d\.\d{3}\.\d{3})[ -]?[A-Z]", ("es.dni",)),
    "cc": (r"\d{8} ?\d ?[A-Z]{2}\d", ("pt.cc",)),
    "dated_eleven": (r"\d{6}[ -]\d{5}", ("no.fodselsnummer",)),
    "dated_thirteen": (r"\d{6}[ -]\d{4}[ -]?\d{3}|\d{7}[ -]?\d{6}", ("za.idnr", "ro.cnp")),
    "eleven": (r"\d{11}", ("de.idnr", "no.fodselsnummer")),
    "thirteen": (r"\d{13}", ("ro.cnp", "za.idnr")),
}
_NUMBERS = re.compile(
    r"(?=\d)(?<![0-9A-Za-z_])(?<![0-9][.,/-])(?:"
    + "|".join(f"(?P<{name}>{shape})" for name, (shape, _) in _SHAPES.items())
    + r")(?![0-9A-Za-z_]|[-./]\d)",
    re.ASCII,
)
# Areas 000, 666 and 9xx, group 00 and serial 0000 were never issued (SSA).
_SSN = re.compile(
    r"(?<![0-9A-Za-z_-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![0-9A-Za-z_]|-\d)", re.ASCII
)
#: Two capitals in front of a run of digits: QQ 12 34 56 C (prefixes: HMRC manual NIM39110).
_NINO_PREFIX = r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
_SPACED_NINO = re.compile(
    rf"(?<![0-9A-Za-z_]){_NINO_PREFIX} ?(?:\d\d ?\d\d ?\d\d|\d{{6}}) ?[A-D](?![0-9A-Za-z_])",
    re.ASCII,
)
_SPACED_NIE = re.compile(r"(?<![0-9A-Za-z_])[XYZ]-?\d{7}[ -]?[A-Z](?![0-9A-Za-z_])", re.ASCII)

#: Shapes whose letters run into digits, by the number of these letters.
_LETTERED: Mapping[int, tuple[tuple[str, tuple[str, ...]], ...]] = {
    1: (
        (r"[XYZ]\d{7}-?[A-Z]", ("es.nie",)),
        (r"[STFGM]\d{7}[A-Z]", ("nric",)),
        (r"[A-Z][1289]\d{8}", ("taiwan",)),
        (r"[A-Z]\d{6}\([\dA]\)", ("hkid",)),
    ),
    2: ((rf"{_NINO_PREFIX}\d{{6}}[A-D]", ("nino",)), (r"[A-Z]{2}\d{6}\([\dA]\)", ("hkid",))),
    4: ((r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z\d]\d", ("mx.curp",)),),
    5: ((r"[A-Z]{3}P[A-Z]\d{4}[A-Z]", ("in_.pan",)),),
    6: ((r"[A-Za-z]{6}\d\d[A-Za-z]\d\d[A-Za-z]\d{3}[A-Za-z]", ("it.codicefiscale",)),),
}
_COMPILED = {
    letters: tuple((re.compile(f"{s}(?![0-9A-Za-z_])", re.ASCII), rules) for s, rules in shapes)
    for letters, shapes in _LETTERED.items()
}

#: Words that announce a number, and its rules; an empty rule asks for as many digits alone.
_LABELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"pesel", ("pl.pesel",)),
    (r"bsn|burgerservicenummer|sofi-?nummer", ("nl.bsn",)),
    (r"svnr|sv-?nr|sv-?nummer|sozialversicherungsnummer|vsnr", ("at.vnr",)),
    (r"steuer-?id\w*|idnr|tax id|tin|steuernummer", ("de.idnr",)),
    (r"cpr(?:-?nr)?|cpr-?nummer|personnummer|pnr", ("dk.cpr", "se.personnummer")),
    (r"fødselsnummer|fnr", ("no.fodselsnummer",)),
    (r"cpf", ("br.cpf",)),
    (r"kimlik(?: no| numarası)?|tckn", ("tr.tckimlik",)),
    (r"sin|social insurance(?: number| no)?|nas", ("ca.sin",)),
    (r"tfn|tax file(?: number| no)?", ("au.tfn",)),
    (r"マイナンバー|個人番号", ("my_number",)),
    (r"id(?: number| no| card)?|identity(?: number| no)?", ("za.idnr", "il.idnr", "id.nik")),
    (r"תעודת זהות|ת\.ז", ("il.idnr",)),
    (r"aadhaar|aadhar|uidai?|आधार", ("in_.aadhaar",)),
    (r"инн", ("ru.inn",)),
    (r"снилс", ("snils",)),
    (r"егн|egn", ("bg.egn",)),
    (r"oib", ("hr.oib",)),
    (r"nif|contribuinte", ("pt.nif",)),
    (r"cnp", ("ro.cnp",)),
    (r"rodné číslo|rodne cislo|r\.? ?č", ("cz.rc",)),
    (r"nik|ktp", ("id.nik",)),
    (r"rut", ("cl.rut",)),
    (r"ssn|social security(?: number| no)?", ("ssn",)),
)
_ANNOUNCED = re.compile(
    rf"(?<![{SPACED}0-9_<])(?:"
    + "|".join(f"(?P<l{i}>{words})" for i, (words, _) in enumerate(_LABELS))
    + r")[ .:=#()'\"/-]{0,4}"
    r"(?:(?:number|numer|nummer|nr|no|nº|n°|is|ist|jest|は|#)[ .:=\"-]{0,3}){0,2}\Z",
    re.IGNORECASE,
)
_LABELLED_NUMBER = re.compile(r"\d(?:[ ./-]?\d){7,15}(?![0-9A-Za-z_])", re.ASCII)


def find_identities(view: str, start: int, end: int, words: str) -> Iterator[Found]:
    """Every number between two positions, the last of which ends a run of numbers.

    Args:
        view: Of the text.
        start: First character of the run.
        end: Its end.
        words: In front of it (`cues.words_before`).
    """
    found: list[Found] = []
    announced = _announced(view, start, words)
    if announced is not None:
        found.append(announced)
    for match in _SSN.finditer(view, start, end + 1):
        found.append(Found(match.start(), match.end(), "SSN"))
    for match in _NUMBERS.finditer(view, start, min(len(view), end + 4)):
        # The shape's own group closes last.
        if any(is_valid(rule, match[0]) for rule in _SHAPES[match.lastgroup or ""][1]):
            found.append(Found(match.start(), match.end(), "ID"))
    resident = _SPACED_NIE.match(view, start - 2) if start >= 2 else None
    if resident and is_valid("es.nie", resident[0]):
        found.append(Found(start - 2, resident.end(), "ID"))
    last = 0
    for item in sorted(found):
        if item.start >= last:
            yield item
            last = item.end


def match_lettered(view: str, start: int, letters: int) -> Found | None:
    """The number that begins with so many letters at `start`, if it is one."""
    for pattern, rules in _COMPILED.get(letters, ()):
        match = pattern.match(view, start)
        if match and any(is_valid(rule, match[0]) for rule in rules):
            return Found(start, match.end(), "ID")
    return None


def match_nino(view: str, start: int) -> Found | None:
    """The national insurance number that begins at `start` with two letters and a blank."""
    match = _SPACED_NINO.match(view, start)
    return Found(start, match.end(), "ID") if match else None


def _announced(view: str, start: int, words: str) -> Found | None:
    label = _ANNOUNCED.search(words) if len(words) > 2 else None
    number = _LABELLED_NUMBER.match(view, start) if label else None
    if label is None or number is None:
        return None
    rules = next(rules for i, (_, rules) in enumerate(_LABELS) if label[f"l{i}"] is not None)
    digits = re.sub(r"\D", "", number[0])
    for rule in rules:
        if is_valid(rule, digits) or is_valid(rule, number[0]):
            return Found(start, number.end(), "SSN" if rule == "ssn" else "ID")
    return None


def is_valid(rule: str, number: str) -> bool:
    """Whether a number passes the check of a rule: ours, or a module of `stdnum`."""
    return _check(rule)(number.replace(".", "").replace("/", "").upper())


@cache
def _check(rule: str) -> Callable[[str], bool]:
    if rule in OWN:
        return OWN[rule]
    check: Callable[[str], bool] = importlib.import_module(f"stdnum.{rule}").is_valid

    def never_fails(number: str) -> bool:
        try:
            return check(number)
        except Exception:  # tables of the library lack some regions, and text may hold any number
            return False

    return never_fails
