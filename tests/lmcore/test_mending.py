import time
from pathlib import Path

from lmcore.mending import lying_aside, mendings, note_mending, set_aside


def test_what_is_set_aside_is_kept_and_told(tmp_path: Path) -> None:
    assert list(lying_aside(tmp_path)) == []
    begun = time.time() - 1
    for content in ("first", "second"):
        damaged = tmp_path / "file"
        damaged.write_text(content)
        kept = set_aside(tmp_path, damaged)
        assert not damaged.exists()
        note_mending(tmp_path, damaged, problem=f"{content}\nline", remedy=f"it is in {kept}")
    found = list(mendings(tmp_path))
    assert [mending.problem for mending in found] == ["first\nline", "second\nline"]
    times = [when for _, when in lying_aside(tmp_path)]
    assert begun <= times[0] <= times[1] <= time.time()
    aside = [Path(mending.remedy.removeprefix("it is in ")) for mending in found]
    assert [path.read_text() for path in aside] == ["first", "second"]


def test_a_line_that_is_damaged_itself_is_passed_over(tmp_path: Path) -> None:
    assert list(mendings(tmp_path)) == []
    note_mending(tmp_path, tmp_path / "a", problem="p", remedy="r")
    with (tmp_path / "mended.jsonl").open("ab") as stream:
        stream.write(b'\xff{"at": 1}\n[]\n{"at"')
    assert [mending.what for mending in mendings(tmp_path)] == [str(tmp_path / "a")]
