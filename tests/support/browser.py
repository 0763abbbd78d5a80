"""A real browser: what a page is after it was loaded, and how wide it is on a phone."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def loaded(page: Path, folder: Path, *options: str, query: str = "") -> str:
    """The document of a page as it is after loading.

    Args:
        page: File to open.
        folder: Where the browser keeps its profile.
        options: More of the browser's own.
        query: What the page is asked in its address.
    """
    if CHROMIUM is None:
        pytest.skip("needs the chromium browser on the PATH")
    command = [
        CHROMIUM,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--disable-background-networking", "--no-first-run", "--virtual-time-budget=2000"),
        f"--user-data-dir={folder / 'profile'}",
        *options,
        "--dump-dom",
        f"{page.as_uri()}?{query}" if query else page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8")


def widths(pages: Sequence[Path], folder: Path, *, width: int) -> dict[str, tuple[int, int]]:
    """How wide pages are in frames of a width, all opened at once.

    Returns:
        By name of the page: the width of what is in it, and what it has; in pixels.
    """
    frames = "".join(
        f"<iframe src='{html.escape(page.as_uri())}' name='{html.escape(page.name)}'"
        f" style='width:{width}px;height:800px;border:0'></iframe>"
        for page in pages
    )
    outer = folder / "frames.html"
    outer.write_text(
        f"<!doctype html><title>loading</title>{frames}<script>onload = () => {{"
        " document.title = JSON.stringify([...document.querySelectorAll('iframe')].map(f => {"
        " const e = f.contentDocument.documentElement;"
        " return [f.name, e.scrollWidth, e.clientWidth] })) }</script>",
        encoding="utf-8",
    )
    dom = loaded(outer, folder, "--allow-file-access-from-files", "--hide-scrollbars")
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert found is not None
    measured = json.loads(html.unescape(found[1]))
    return {name: (inside, outside) for name, inside, outside in measured}
