"""The head of a GGUF file is walked with bounds; what lies in it is one sentence."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("gguf")
from pretrained_models import VOCAB_SIZE, write_gguf_file

from lmcore.errors import SourceError
from lmcore.model.pretrained.gguf_file import read_head


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def head(entries: list[bytes], tensors: list[bytes], *, data: int = 64) -> bytes:
    begin = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    written = begin + b"".join(entries + tensors)
    return written + bytes(-len(written) % 32 + data)


def number(name: str, value: int) -> bytes:
    return text(name) + struct.pack("<II", 4, value)


def tensor(name: str, *sizes: int, kind: int = 0, place: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
    return text(name) + shape + struct.pack("<IQ", kind, place)


def test_what_a_sound_file_says(tmp_path: Path) -> None:
    found = read_head(write_gguf_file(tmp_path / "a.gguf"))
    assert found.architecture == "llama"
    assert found.facts["llama.block_count"] == 2
    assert found.facts["general.license"] == "mit"
    assert found.sizes["token_embd.weight"] == (32, VOCAB_SIZE)
    assert len(found.sizes) == 2 + 2 * 9
    assert "tokenizer.ggml.tokens" not in found.facts


def test_a_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(head([number("n", 7)], [tensor("t", 4, 4)]))
    found = read_head(path)
    assert (found.facts, found.sizes, found.num_numbers) == ({"n": 7}, {"t": (4, 4)}, 16)


_LIST = text("l") + struct.pack("<I", 9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin with GGUF"),
        (b"GGML" + bytes(60), "does not begin with GGUF"),
        (b"GGUF", "it ends too early"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1; versions 2 and 3"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version 50331648"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "tensors and 0 entries"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "0 tensors and"),
        (b"GGUF" + struct.pack("<IQQ", 3, 5, 5), "it ends too early"),
        (head([number("n", 1)] * 2, []), "two entries 'n'"),
        (head([], [tensor("t", 2)] * 2), "two tensors 't'"),
        (head([struct.pack("<Q", 1 << 50)], []), "a text of 1,125,899,906,842,624 bytes"),
        (head([struct.pack("<Q", 1 << 20)], []), "it ends too early"),
        (head([text("n") + struct.pack("<II", 99, 1)], []), "unknown type 99"),
        (head([_LIST + struct.pack("<IQ", 8, 1 << 40)], []), "lists of 1,099,511,627,776 elements"),
        (head([_LIST + struct.pack("<IQ", 0, 1 << 20)], []), "it ends too early"),
        (head([_LIST + struct.pack("<IQ", 9, 2)], []), "a list of lists"),
        (head([struct.pack("<Q", 1) + b"\xff"], []), "codec"),
        (head([], [tensor("t", *[1] * 9)]), "t: 9 dimensions"),
        (head([], [tensor("t")]), "t: 0 dimensions"),
        (head([], [tensor("t", 1 << 40, 1 << 40)]), "does not fit into"),
        (head([], [tensor("t", 4, place=1 << 50)]), "does not fit into"),
        (head([], [tensor("t", 4, kind=4711)]), "4711"),
        (head([], [tensor("t", 16)], data=63), "it was cut off"),
        (head([number("general.alignment", 0)], []), "an alignment of 0"),
    ],
)
def test_what_lies_is_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        read_head(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_of_any_kind_is_refused_or_survived(tmp_path: Path, data: st.DataObject) -> None:
    sound = head([number("n", 7), text("s") + struct.pack("<I", 8) + text("x")], [tensor("t", 4)])
    place = data.draw(st.integers(0, len(sound) - 1))
    content = sound[:place] + data.draw(st.binary(max_size=12)) + sound[place + 1 :]
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with contextlib.suppress(SourceError):
        assert read_head(path).num_numbers <= 8 * len(content)
