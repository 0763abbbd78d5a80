"""Numbering plans: which digits are a telephone number, and where.

In: regions (ISO 3166).  Out: patterns over digits, compiled from the plans that `phonenumbers`
carries, so that a candidate is decided by one match instead of being parsed once for each region.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

#: Regions whose national numbers are recognised where the configuration names none: those whose
#: people write most of the world's text.
DEFAULT_REGIONS = (
    *("AR", "AT", "AU", "BE", "BG", "BR", "CA", "CH", "CL", "CN", "CO", "CZ", "DE", "DK", "EG"),
    *("ES", "FI", "FR", "GB", "GR", "HK", "HR", "HU", "ID", "IE", "IL", "IN", "IR", "IT", "JP"),
    *("KE", "KR", "LU", "MA", "MX", "MY", "NG", "NL", "NO", "NZ", "PE", "PH", "PK", "PL", "PT"),
    *("RO", "RS", "RU", "SA", "SE", "SG", "SI", "SK", "TH", "TR", "TW", "UA", "US", "VN", "ZA"),
)
_TYPES = (
    *("fixed_line", "mobile", "toll_free", "shared_cost", "premium_rate", "voip", "uan"),
    "personal_number",
)
#: Of these prefixes of long-distance calls a number is hardly ever written without.
_WRITTEN = ("0", "06", "8")
#: Regions where it is written without all the same, mobile numbers most of all.
_OFTEN_WITHOUT = frozenset({"AR", "BR", "CN", "ID", "IN", "RU", "TR"})


@cache
def supported_regions() -> frozenset[str]:
    """Every region with a plan."""
    import phonenumbers

    return frozenset(phonenumbers.SUPPORTED_REGIONS)


@cache
def national(regions: tuple[str, ...], *, types: tuple[str, ...] = _TYPES) -> re.Pattern[str]:
    """Digits of a number as it is dialled inside one of the regions."""
    return _any_of(_dialled(region, types) for region in regions)


def mobile(regions: tuple[str, ...]) -> re.Pattern[str]:
    """The same, of mobile telephones alone."""
    return national(regions, types=("mobile",))


@cache
def of_country(code: int) -> tuple[re.Pattern[str], frozenset[int]] | None:
    """Pattern and possible lengths of the national part behind a country code, if it exists."""
    import phonenumbers

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code)
    if regions is None:
        return None
    plans: list[Any] = [
        phonenumbers.PhoneMetadata.metadata_for_nongeo_region(code)
        if region == "001"
        else phonenumbers.PhoneMetadata.metadata_for_region(region)
        for region in regions
    ]
    lengths = {n for plan in plans for n in plan.general_desc.possible_length}
    return _any_of(_numbers(plan, _TYPES) for plan in plans), frozenset(lengths)


def _dialled(region: str, types: tuple[str, ...]) -> str:
    import phonenumbers

    plan: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
    prefix = plan.national_prefix or ""
    numbers = _numbers(plan, types)
    if not numbers:
        return ""
    if prefix in _WRITTEN and region not in _OFTEN_WITHOUT:
        return f"{prefix}(?:{numbers})"
    return f"(?:{prefix})?(?:{numbers})" if prefix else numbers


def _numbers(plan: Any, types: tuple[str, ...]) -> str:
    found = (getattr(plan, kind) for kind in types)
    return "|".join(
        desc.national_number_pattern
        for desc in found
        if desc is not None and desc.national_number_pattern
    )


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    parts = [f"(?:{pattern})" for pattern in patterns if pattern]
    return re.compile("|".join(parts) if parts else r"(?!)", re.ASCII)
