"""SPDX expressions: the whole list, the grammar, and what is wrong said in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import _spdx

from lmcore.data.text.spdx import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    Compound,
    ExpressionError,
    License,
    own_version,
    parse_expression,
)

_LICENSES = [entry["id"] for entry in _spdx.LICENSES.values()]
_EXCEPTIONS = [entry["id"] for entry in _spdx.EXCEPTIONS.values()]


def test_the_whole_list_of_spdx_3_27_is_known() -> None:
    # A second library's copy of the list: 699 licences and 79 exceptions.
    assert (_spdx.VERSION, len(_LICENSES), len(_EXCEPTIONS)) == ("3.27.0", 699, 79)
    for name in _LICENSES:
        later = name if name.endswith("+") else f"{name}+"
        for spelled in (name, name.upper(), later):
            assert isinstance(parse_expression(spelled), License), spelled
    for name in _EXCEPTIONS:
        parsed = parse_expression(f"GPL-3.0-only WITH {name.lower()}")
        assert isinstance(parsed, License)
        assert parsed.exception is not None


def test_what_is_current_keeps_its_name() -> None:
    current = [entry["id"] for entry in _spdx.LICENSES.values() if not entry["deprecated"]]
    renamed = {n: str(parse_expression(n)) for n in current if str(parse_expression(n)) != n}
    assert renamed == {}


@pytest.mark.parametrize(
    ("deprecated", "current"),
    [
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("AGPL-3.0+", "AGPL-3.0-or-later"),
        ("GPL-2.0-only+", "GPL-2.0-or-later"),
        ("GPL-2.0-or-later+", "GPL-2.0-or-later"),
        ("GPL-2.0-with-bison-exception", "GPL-2.0-only WITH Bison-exception-2.2"),
        ("GPL-2.0-with-bison-exception+", "GPL-2.0-or-later WITH Bison-exception-2.2"),
        ("GPL-3.0-with-GCC-exception", "GPL-3.0-only WITH GCC-exception-3.1"),
        ("eCos-2.0", "GPL-2.0-or-later WITH eCos-exception-2.0"),
        ("StandardML-NJ", "SMLNJ"),
        ("Net-SNMP", "Net-SNMP"),
        ("MPL-2.0-no-copyleft-exception", "MPL-2.0-no-copyleft-exception"),
    ],
)
def test_a_deprecated_identifier_becomes_what_spdx_names_instead(
    deprecated: str, current: str
) -> None:
    assert str(parse_expression(deprecated)) == current


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("apache-2.0+", "Apache-2.0+"),
        ("MIT or ISC and X11", "MIT OR (ISC AND X11)"),
        ("(MIT OR LicenseRef-ours) AND ISC", "(MIT OR LicenseRef-ours) AND ISC"),
        ("((MIT))", "MIT"),
        ("DocumentRef-a:LicenseRef-b", "DocumentRef-a:LicenseRef-b"),
        ("LicenseRef-a WITH AdditionRef-b", "LicenseRef-a WITH AdditionRef-b"),
    ],
)
def test_an_expression_has_one_spelling(text: str, spelled: str) -> None:
    assert str(parse_expression(text)) == spelled


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing before the end"),
        ("MIT AND", "missing before the end"),
        ("OR MIT", "missing before 'OR'"),
        ("(MIT", "not closed"),
        ("MIT)", "before '\\)'"),
        ("MIT ISC", "before 'ISC'"),
        ("CC-BY", "did you mean CC-BY-4.0?"),
        ("MIT++", "no licence"),
        ("LicenseRef-a+", "no licence"),
        ("MIT WITH Classpath", "no exception"),
        ("GPL-2.0-with-GCC-exception WITH GCC-exception-2.0", "has its exception already"),
        ("(" * 500 + "MIT" + ")" * 500, f"more than {MAX_DEPTH} deep"),
        ("MIT " * 1000, f"longer than {MAX_CHARACTERS}"),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason.replace("?", r"\?")):
        parse_expression(text)


def test_later_versions_name_the_one_that_they_begin_with() -> None:
    assert own_version("Apache-2.0+") == "Apache-2.0"
    assert own_version("GPL-2.0-or-later") == "GPL-2.0-only"
    assert own_version("MIT") is None


_SIMPLE = st.sampled_from([*_LICENSES[:200], "LicenseRef-a", "GPL-2.0-only WITH GCC-exception-2.0"])
_TEXTS = st.recursive(
    _SIMPLE,
    lambda inner: st.builds(
        lambda parts, operator: f"({f' {operator} '.join(parts)})",
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from(["AND", "OR"]),
    ),
    max_leaves=12,
)


@given(_TEXTS)
def test_what_was_spelled_once_is_spelled_the_same_again(text: str) -> None:
    parsed = parse_expression(text)
    assert parse_expression(str(parsed)) == parsed


@given(st.text(alphabet="() ANDORMITw+-.:", max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = parse_expression(text)
    except ExpressionError:
        return
    assert isinstance(parsed, License | Compound)
