"""What may be said of requests that are kept."""

import pytest
from pydantic import ValidationError

from lmcore.data.requests.config import ServeConfig


def test_nothing_is_kept_unless_it_is_said() -> None:
    assert not ServeConfig().records
    # YAML reads a bare off as false.
    assert ServeConfig.model_validate({"record": False}).record == "off"
    kept = ServeConfig.model_validate({"record": "sampled"})
    assert (kept.records, kept.share, kept.keep_days, kept.mask_pii) == (True, 0.05, 30, True)


@pytest.mark.parametrize(
    ("key", "value"), [("share", 0), ("share", 1.1), ("keep_days", 0), ("record", True)]
)
def test_what_makes_no_sense_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        ServeConfig.model_validate({key: value})
