"""Plans of regions as patterns: what the library says is valid, and nothing else."""

import phonenumbers
import pytest

from lmcore.data.text.personal.plans import (
    DEFAULT_REGIONS,
    mobile,
    national,
    of_country,
    supported_regions,
)


@pytest.mark.parametrize("region", DEFAULT_REGIONS)
def test_example_numbers_are_numbers_of_their_region(region: str) -> None:
    for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
        example = phonenumbers.example_number_for_type(region, kind)
        significant = phonenumbers.national_significant_number(example)
        prefix = phonenumbers.PhoneMetadata.metadata_for_region(region).national_prefix or ""
        assert national((region,)).fullmatch(prefix + significant)
        plan = of_country(example.country_code)
        assert plan is not None
        assert plan[0].fullmatch(significant)
        assert len(significant) in plan[1]
        if kind == phonenumbers.PhoneNumberType.MOBILE:
            assert mobile((region,)).fullmatch(prefix + significant)


def test_what_no_plan_knows_is_no_number() -> None:
    assert of_country(999) is None
    assert not national(("DE",)).fullmatch("3012345678")  # without its zero
    assert not national(("FR",)).fullmatch("0012345678")
    assert set(DEFAULT_REGIONS) <= supported_regions()
