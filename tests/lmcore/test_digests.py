"""Digests: one for each value, whatever its spelling, and for each state of the code."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from json_values import json_values

from lmcore.digests import canonical_json, code_digest, digest


@given(json_values(max_leaves=8))
def test_canonical_json_has_one_spelling(value: object) -> None:
    again = json.loads(canonical_json(value))
    assert canonical_json(again) == canonical_json(value)
    assert digest(again) == digest(value)


def test_canonical_json_ignores_the_order_of_keys_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": math.nan})


def test_the_code_digest_follows_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "probe_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_digest("probe_package")
    assert code_digest("probe_package") == before
    (package / "part.py").write_text("x = 2\n")
    assert code_digest("probe_package") != before
