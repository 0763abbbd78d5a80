from pathlib import Path
from typing import Any


def test_a_version_is_reproduced_bit_for_bit(trained_shell: Any, champion: Any) -> None:
    answer = trained_shell.answer("reproduce", "1")
    assert answer["mismatches"] == []
    assert answer["identical"] is True
    assert answer["weights"] == answer["rebuilt"] == champion.weights_sha256
    assert list(trained_shell.home.work.glob("reproduce-*")) == []
    assert trained_shell.lines("reproduce", "champion") == [
        "IDENTICAL: lines version 1 was rebuilt bit for bit",
        f"  weights  {champion.weights_sha256}",
        f"  rebuilt  {champion.weights_sha256}",
    ]


def test_a_changed_source_is_a_named_mismatch(trained_shell: Any, made: Any, champion: Any) -> None:
    source = Path(made.run.config.sources[0].path)
    whole = source.read_text()
    try:
        source.write_text("\n".join(whole.splitlines()[:-1]) + "\n")
        answer = trained_shell.answer("reproduce", "1", code=3)
        shown = trained_shell.lines("reproduce", "champion", code=3)
    finally:
        source.write_text(whole)
    assert answer["identical"] is False
    assert any("lines.txt of source 0 has changed" in m for m in answer["mismatches"])
    assert any("is missing or has changed" in m for m in answer["mismatches"])
    assert shown == [
        "NOT REBUILT: lines version 1 cannot be made again from here",
        f"  weights  {champion.weights_sha256}",
        "  rebuilt  -",
        *(f"  {mismatch}" for mismatch in answer["mismatches"]),
    ]
