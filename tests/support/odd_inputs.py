"""Files, configurations and command lines as somebody would write them who means no good.

`fuzz` gives a test its number of examples: few in `make test`; `benchmarks.fuzzing` asks for many
times more by an environment variable, and then draws other ones each time.
"""

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import office_files
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
import zstandard
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: So many times more examples than in `make test`.
TIMES = int(os.environ.get("LMCORE_FUZZ_TIMES", "1"))

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
_PARAGRAPH = "A paragraph of some words, and then some more of them. " * 4
_ROWS = [{"text": f"{_PARAGRAPH} {i}", "label": i % 2, "day": "2020-02-03"} for i in range(6)]


def fuzz(examples: int) -> Callable[[Any], Any]:
    """The settings of a test that is given whatever there is."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@cache
def sound_files() -> dict[str, bytes]:
    """A small file of each kind, by name."""
    table, rows = io.BytesIO(), "".join(json.dumps(row) + "\n" for row in _ROWS)
    nested = [{**row, "list": ["a", "b"], "in": {"a": None, "b": 1.5}} for row in _ROWS]
    pq.write_table(pa.Table.from_pylist(nested), table, compression="zstd")
    mail = office_files.mail("Dear all,\nwords of a mail.\n> quoted\n-- \nme")
    chat = "".join(f"[31.12.23, 23:59:0{i}] Ann: hello {i}\n" for i in range(5))
    files: dict[str, bytes] = {
        "a.txt": f"{_PARAGRAPH}\n\n{_PARAGRAPH}".encode(),
        "a.md": f"---\ntitle: x\n---\n{_PARAGRAPH}".encode(),
        "a.jsonl": rows.encode(),
        "a.json": json.dumps(_ROWS).encode(),
        "a.yaml": yaml.safe_dump(_ROWS).encode(),
        "a.csv": ("text,label\n" + f'"{_PARAGRAPH}",1\n' * 4).encode(),
        "a.tsv": ("text\tlabel\n" + f"{_PARAGRAPH}\t1\n" * 4).encode(),
        "a.parquet": table.getvalue(),
        "a.html": office_files.html_page([_PARAGRAPH] * 3).encode(),
        "a.pdf": office_files.pdf([_PARAGRAPH, None]),
        "a.docx": office_files.docx([_PARAGRAPH] * 2, table=["a", "b"], tracked=True),
        "a.odt": office_files.odt([_PARAGRAPH] * 2),
        "a.rtf": b"{\\rtf1\\ansi Words of a text.\\par More.}",
        "a.epub": office_files.epub([_PARAGRAPH]),
        "a.xlsx": office_files.xlsx({"s": [["text", "label"], [_PARAGRAPH, 1]]}),
        "a.eml": mail,
        "a.mbox": office_files.mbox([mail, mail]),
        "a.srt": b"1\n00:00:01,000 --> 00:00:02,000\nWords that are said.\n\n",
        "chat.txt": chat.encode(),
    }
    packed = {name: files[name] for name in ("a.txt", "a.jsonl", "a.csv")}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in packed.items():
            opened.writestr(name, data)
    files["a.zip"] = archive.getvalue()
    for form, name in ((tarfile.GNU_FORMAT, "gnu"), (tarfile.PAX_FORMAT, "pax")):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=form) as tar:
            for place, data in packed.items():
                info = tarfile.TarInfo(f"ä{'x' * 110}/{place}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        files[f"{name}.tar"] = archive.getvalue()
    files["a.tar.gz"] = gzip.compress(files["pax.tar"])
    files["a.jsonl.gz"] = gzip.compress(rows.encode())
    files["a.txt.zst"] = zstandard.ZstdCompressor().compress(files["a.txt"])
    return files


@st.composite
def odd_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A name, and what the file of this name holds: sound in part, or nothing of its kind."""
    name = draw(st.sampled_from(sorted(sound_files())))
    data = bytearray(sound_files()[name])
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(("flip", "cut", "insert", "repeat", "drop", "number")))
        if kind == "flip" and place < len(data):
            data[place] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del data[place:]
        elif kind == "insert":
            data[place:place] = draw(st.sampled_from(ODD_BYTES) | st.binary(max_size=30))
        elif kind == "repeat":
            data[place:place] = data[place : place + 200] * draw(st.integers(1, 50))
        elif kind == "drop":
            del data[place : place + draw(st.integers(1, 100))]
        else:
            data[place : place + 4] = draw(st.integers(0, (1 << 32) - 1)).to_bytes(4, "little")
    if draw(st.integers(0, 9)) == 0:  # under the name of another kind
        name = draw(st.sampled_from(sorted(sound_files())))
    return name, bytes(data)


ODD_BYTES = (
    *(b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[2J", b"[" * 3000, b'{"a":' * 1500, b"9" * 5000),
    *(b'"', b"\r", b"\n\n\n", b"<div>" * 3000, b"<!--", b"&#x110000;", b"(" * 3000, b"- " * 2000),
    *(b"!!int ''\n", b"2021-13-45", b"NaN", b"1e999", b'"\\ud800"', b"\xe2\x80\xae", b"%PDF-1.7\n"),
    *(b"PK\x03\x04", b"\x1f\x8b\x08", b"From \n", b"=?utf-8?b?//8=?=", b"{\\rtf" * 500, b"&a *a"),
)

ODD_TEXT = (
    *("", " ", "\0", "\x1b[31m", "\x9b2J", "\ud800", "\u202e", "x" * 300, "x/" * 3000, "~", "/"),
    *("~nosuchuser/x", "..", "/proc/self/mem", "/dev/zero", "**/*", "[z-a]*", "[", "{}", "%s"),
    *("-1", "1e400", "9" * 30, "9" * 5000, "1e-320", "nan", "2021-13-45", "0x", "\u00b2", "null"),
    *("texts", "missing"),
)
# As places they lie in the folder of the command.
_WORDS = ANY_TEXT.map(lambda text: text.lstrip("/~"))
ODD_VALUES = st.one_of(
    st.sampled_from(ODD_TEXT),
    ANY_TEXT,
    st.sampled_from([None, True, 0, -1, 1 << 70, 0.5, 1e308, float("inf"), float("nan"), [], {}]),
    st.lists(st.sampled_from(["a", 1, None]), max_size=3),
    st.dictionaries(st.sampled_from(["path", "kind", "a"]), st.integers(), max_size=2),
)


@st.composite
def odd_configurations(draw: st.DrawFn, keys: tuple[str, ...]) -> str:
    """The text of a configuration some of whose values are none, or that is none.

    Args:
        draw: Of hypothesis.
        keys: Dotted keys of a configuration.
    """
    values: dict[str, Any] = {"name": "m", "sources": [{"path": "texts", "license": "CC0-1.0"}]}
    for key in draw(st.lists(st.sampled_from(keys), max_size=3)):
        place: Any = values
        *front, last = key.split(".")
        for part in front:
            if isinstance(place, list):
                place = place[int(part)] if part.isdecimal() and int(part) < len(place) else None
            else:
                place = place.setdefault(part, {})
            if not isinstance(place, dict | list):
                break
        if isinstance(place, dict):
            place[last] = draw(ODD_VALUES)
    text = str(yaml.safe_dump(values, allow_unicode=draw(st.booleans())))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text)))
        odd = draw(st.sampled_from(ODD_BYTES)).decode("utf-8", "replace")
        text = text[:at] + odd + text[at:]
    return text


@st.composite
def odd_commands(draw: st.DrawFn, forms: dict[str, tuple[str, ...]]) -> list[str]:
    """A command with arguments that it may not know what to do with.

    Args:
        draw: Of hypothesis.
        forms: Options and arguments of each command; `=` behind an option: it takes a value.
    """
    name = draw(st.sampled_from(sorted(forms)))
    words = [name]
    for form in draw(st.lists(st.sampled_from(forms[name]), max_size=4)):
        if form.startswith("-"):
            words.append(form.removesuffix("="))
        if form.endswith("=") or not form.startswith("-"):
            words.append(draw(st.sampled_from((*ODD_TEXT, "1", "2", "champion")) | _WORDS))
    # As a shell hands them over.
    return [os.fsdecode(w.replace("\0", "").encode("utf-8", "surrogatepass")) for w in words]
