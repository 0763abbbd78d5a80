from pathlib import Path

import pytest

from lmcore.data.copies.removal import KEPT, MAX_SHIFT, NOTHING_REMOVED, Removal, Removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.errors import IntegrityError

TEXTS = [" ".join(f"{letter}{n}" for n in range(40)) for letter in "abc"]


def removal(text: str, *, sketched: bool = True) -> Removal:
    sketch = sketch_text(text, kept=KEPT, max_shift=MAX_SHIFT) if sketched else None
    return Removal(document=text[:9], sketch=sketch, reason="asked", who="ada", at="2026-03-01")


def test_who_reads_it_knows_what_who_wrote_it_knew(tmp_path: Path) -> None:
    removals = Removals.of([removal(TEXTS[0]), removal(TEXTS[1], sketched=False)])
    handed = RemovalsFile.write(removals, tmp_path)
    assert handed.digest == removals.digest
    assert handed.ids() == {entry.id for entry in removals.entries}
    found = handed.read()
    assert [entry.to_json() for entry in found.entries] == [e.to_json() for e in removals.entries]
    for text, expected in ((TEXTS[0] + " more", True), (TEXTS[1], False), (TEXTS[2], False)):
        assert (found.match("elsewhere", text) is not None) is expected
    assert found.match(TEXTS[1][:9], "any text") is not None


def test_it_is_read_once(tmp_path: Path) -> None:
    handed = RemovalsFile.write(Removals.of([removal(TEXTS[0])]), tmp_path)
    first = handed.read()
    assert handed.path is not None
    handed.path.unlink()
    assert handed.read() is first


def test_nothing_removed_is_no_file(tmp_path: Path) -> None:
    handed = RemovalsFile.write(NOTHING_REMOVED, tmp_path)
    assert (handed, handed.read(), handed.ids()) == (RemovalsFile(), NOTHING_REMOVED, frozenset())
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    handed = RemovalsFile.write(Removals.of(map(removal, TEXTS)), tmp_path)
    assert handed.path is not None
    lines = handed.path.read_text().splitlines(keepends=True)
    handed.path.write_text("".join(lines[1:]))
    with pytest.raises(IntegrityError, match="were changed on their way; run again"):
        handed.read()
