"""Licences: SPDX or nothing, and the policy's answer for composite expressions."""

import pytest

from lmcore.data.config import PolicyConfig
from lmcore.data.text.licences import allowed, blocked_licenses, blocked_origin, normal_license
from lmcore.errors import ConfigError


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("CC0-1.0", "CC0-1.0"),
        ("mit", "MIT"),
        ("CC-PDM-1.0", "CC-PDM-1.0"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("LicenseRef-house-text", "LicenseRef-house-text"),
        ("mit or LicenseRef-house-text", "MIT OR LicenseRef-house-text"),
        ("Apache-2.0+", "Apache-2.0+"),
        ("GPL-2.0", "GPL-2.0-only"),
        (" Unknown ", "unknown"),
        ("", "unknown"),
    ],
)
def test_licences_have_one_spelling(raw: str, normal: str) -> None:
    assert normal_license(raw) == normal


@pytest.mark.parametrize(
    "raw", ["MIT AND (", "free to use", "PDM", "MIT MIT", "CC-BY", "(", "1", "MIT WITH MIT"]
)
def test_a_malformed_licence_names_key_and_value(raw: str) -> None:
    with pytest.raises(ConfigError) as caught:
        normal_license(raw, key="sources[2].license")
    assert "sources[2].license" in str(caught.value)
    assert repr(raw) in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only WITH Classpath-exception-2.0", False),
        ("LicenseRef-secret", False),
        ("LicenseRef-other", True),
        ("LicenseRef-other OR LicenseRef-secret", True),
        ("LicenseRef-other AND LicenseRef-secret", False),
        ("LicenseRef-secret OR MIT", True),
        ("(MIT OR LicenseRef-secret) AND (GPL-3.0-only OR LicenseRef-other)", True),
        ("(MIT OR LicenseRef-secret) AND GPL-3.0-only", False),
        ("GPL-3.0", False),
        ("GPL-3.0-or-later", False),  # which later version, and whether it is wanted, is not said
        ("GPL-3.0+ WITH GCC-exception-3.1", False),
        ("GPL-2.0-or-later", True),
        ("unknown", False),
    ],
)
def test_denied_licences_block_only_where_they_cannot_be_avoided(
    expression: str, expected: bool
) -> None:
    policy = PolicyConfig(deny=["GPL-3.0-only", "LicenseRef-secret"])
    assert allowed(normal_license(expression), policy=policy) is expected


def test_unknown_is_a_decision_of_the_policy() -> None:
    assert blocked_licenses(["unknown", "MIT"], policy=PolicyConfig()) == ["unknown"]
    assert blocked_licenses(["unknown"], policy=PolicyConfig(unknown_license="allow")) == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("mit", True),
        ("Apache-2.0", False),
        ("CC-BY-NC-4.0", False),
        ("CC-BY-NC-4.0 OR MIT", True),
        ("CC-BY-NC-4.0 AND MIT", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("LicenseRef-ours", True),
        ("LicenseRef-theirs", False),
        ("LicenseRef-ours OR LicenseRef-theirs", True),
        ("LicenseRef-ours AND LicenseRef-theirs", False),
        ("GPL-2.0-or-later", True),  # that is GPL-2.0-only, for who chooses it
        ("GPL-2.0-with-classpath-exception", True),
        ("MIT+", True),
        ("unknown", False),
    ],
)
def test_a_list_of_allowed_licences_blocks_all_others(expression: str, expected: bool) -> None:
    policy = PolicyConfig(allow=["MIT", "GPL-2.0-only", "LicenseRef-ours"])
    assert allowed(normal_license(expression), policy=policy) is expected


def test_origins_are_denied_by_pattern_whatever_their_case() -> None:
    policy = PolicyConfig(deny_origins=["*example.com*", "The Archive"])
    assert blocked_origin("scraped from WWW.Example.com, 2020", policy=policy)
    assert blocked_origin("the archive", policy=policy)
    assert not blocked_origin("the archives", policy=policy)
    assert not blocked_origin("", policy=PolicyConfig())
