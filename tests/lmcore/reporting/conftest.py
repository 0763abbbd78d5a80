"""Texts of strangers, and a browser to open pages with."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
def opened(tmp_path: Path) -> Callable[..., str]:
    """Opens a page in a real browser: the document as it is after loading."""
    if CHROMIUM is None:
        pytest.skip("needs the chromium browser on the PATH")

    def open_page(page: str, *options: str, name: str = "page.html") -> str:
        path = tmp_path / name
        path.write_text(page, encoding="utf-8")
        command = [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--no-first-run", "--virtual-time-budget=2000"),
            f"--user-data-dir={tmp_path / 'profile'}",
            *options,
            "--dump-dom",
            path.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        return done.stdout.decode("utf-8")

    return open_page


@pytest.fixture
def width_on_a_phone(tmp_path: Path, opened: Callable[..., str]) -> Callable[[str], str]:
    """How wide a page is in a frame of 360 pixels, as a document's title."""

    def measure(page: str) -> str:
        (tmp_path / "framed.html").write_text(page, encoding="utf-8")
        return opened(
            "<!doctype html><title>loading</title><iframe id=f src=framed.html style='width:360px;"
            "height:800px;border:0'></iframe><script>f.onload = () => {"
            " const e = f.contentDocument.documentElement;"
            " document.title = e.scrollWidth + ' of ' + e.clientWidth }</script>",
            *("--allow-file-access-from-files", "--hide-scrollbars"),
            name="phone.html",
        )

    return measure
