from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.steps import run_key as module
from flows.steps.run_key import (
    RunKey,
    data_digest,
    library_versions,
    lock_digest,
    processor_name,
    run_key,
)
from lmcore.data.copies.removal import Removal, Removals

KEY = RunKey(data="d", config="c", code="x", libraries="l", start="s", nonce=1)


@pytest.mark.parametrize("part", ["data", "config", "code", "libraries", "start", "nonce"])
def test_every_part_is_in_the_key(part: str) -> None:
    other: Any = 2 if part == "nonce" else "other"
    changed = replace(KEY, **{part: other})
    assert changed.digest != KEY.digest
    # A forced repetition, and one from its own result, is nothing new.
    assert (changed.base == KEY.base) == (part in ("start", "nonce"))


def test_a_run_that_is_neither_forced_nor_goes_on_is_known_by_both_names() -> None:
    plain = replace(KEY, start=None, nonce=0)
    assert plain.digest == plain.base == KEY.base


def test_the_same_data_on_the_same_installation_is_the_same_run() -> None:
    key = run_key(data="d", config="c")
    assert key == run_key(data="d", config="c")
    assert (key.start, key.nonce) == (None, 0)
    assert key.tags() == {
        "data_fingerprint": "d",
        "config_fingerprint": "c",
        "code_digest": key.code,
        "libraries_digest": key.libraries,
        "lock_digest": lock_digest(),
    }


def test_the_lock_is_known_by_its_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    assert lock_digest() is None
    found = []
    for lines in ("a==1\nb==2\n", "# b==3\na==1 \\\n    --hash=sha256:0\nb==2\n", "a==1\nb==3\n"):
        (tmp_path / "requirements.lock").write_text(lines)
        found.append(lock_digest())
    assert found[0] == found[1] != found[2]


def test_removals_are_part_of_the_data() -> None:
    def removals(*documents: str) -> Removals:
        entries = (
            Removal(document=d * 64, sketch=None, reason="asked", who="ada", at="2026-03-01")
            for d in documents
        )
        return Removals.of(entries)

    assert data_digest("sources", removals()) == "sources"
    digests = {data_digest("sources", removals(*names)) for names in ("", "a", "b", "ab")}
    assert len(digests) == 4
    assert data_digest("sources", removals("a", "b")) == data_digest("sources", removals("b", "a"))


def test_the_installation_is_named() -> None:
    versions = library_versions()
    assert {"torch", "numpy", "mlflow", "prefect"} <= set(versions)
    assert all(version[0].isdigit() for version in versions.values())
    assert processor_name() == processor_name().strip() != ""
