"""Subtitles: what is said, without numbers, times, styles and remarks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,a remark\n"
    "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\i1}Hello{\\i0},\\Nthere.\n"
)


def test_styles_and_remarks_are_taken_off(put: Put, read: Read) -> None:
    assert read(put("a.ass", ASS))[0].text == "Hello,\nthere."
    vtt = "WEBVTT\n\nNOTE a remark\n\n1\n00:01.000 --> 00:02.000\n<v Ann>Hi &amp; bye\n"
    assert "-->" not in read(put("a.vtt", vtt))[0].text


def test_a_file_without_any_is_told(put: Put, read: Read) -> None:
    assert read(put("a.vtt", "WEBVTT\n"))[0].reason == "subtitles without any text"
    assert "known kind" in read(put("a.srt", "hello"))[0].reason
    assert read(put("b.srt", b"\xff\xff"))[0].reason.startswith("invalid UTF-8")
