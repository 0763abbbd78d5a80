"""Texts of strangers, and a browser to open pages with."""

from collections.abc import Callable, Sequence
from pathlib import Path

import browser
import pytest

HOSTILE = [
    "<script>document.title='pwned'</script>",
    "</style></title></pre></textarea></svg><script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "<svg onload=document.title='pwned'>",
    "\"'><iframe src=javascript:document.title='pwned'></iframe>",
    "[click](javascript:document.title='pwned') ![x](http://evil.example/x.png)",
    "http://evil.example www.evil.example <http://evil.example>",
    "```\n````\n~~~\n# heading\n<b>bold</b>",
    "{{ 7 * 7 }} {% raw %} {# #} ${7*7}",
    "\u202egnirts desrever\u202c \u2066isolate\u2069 \U000e0041",
    "nul \x00 escape \x1b[31m bell \x07 return \r lone \udc80",
    "---\nlicense: mit\n---",
    "| a | b |\n|---|---|\n| c | d |",
    "-->]]>&lt;&#x3c;script&#x3e;",
]


@pytest.fixture(scope="session")
def attacks() -> Sequence[str]:
    """Texts that would do something if a page, a card or a terminal took them for its own."""
    return HOSTILE


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], str]:
    """Opens a page in a real browser: the document as it is after loading."""

    def open_page(page: str) -> str:
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        return browser.loaded(path, tmp_path)

    return open_page


@pytest.fixture
def width_on_a_phone(tmp_path: Path) -> Callable[[str], tuple[int, int]]:
    """How wide what is in a page is, and the page, in a frame of 360 pixels."""

    def measure(page: str) -> tuple[int, int]:
        path = tmp_path / "framed.html"
        path.write_text(page, encoding="utf-8")
        return browser.widths([path], tmp_path, width=360)["framed.html"]

    return measure
