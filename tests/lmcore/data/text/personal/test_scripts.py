"""Scripts with blanks between words, and those without."""

import re

from lmcore.data.text.personal.scripts import RUNNING, SPACED


def test_a_letter_is_of_one_kind() -> None:
    spaced, running = re.compile(f"[{SPACED}]"), re.compile(f"[{RUNNING}]")
    assert all(spaced.fullmatch(c) for c in "aZäßłőřığπжבعअẹ")
    assert all(running.fullmatch(c) for c in "中かカ한々")
    assert not any(spaced.fullmatch(c) for c in "中かカ한ก09_ ×÷،")
    assert not any(running.fullmatch(chr(c)) and spaced.fullmatch(chr(c)) for c in range(0x10000))
