"""Limits of monitoring are those of the installed file, key by key overridden."""

import itertools
import math
import re

import pytest
import yaml
from pydantic import ValidationError

from lmcore.evaluation.drift.config import MonitorConfig, default_monitor_path


def test_default_is_the_installed_file_and_every_limit_has_a_comment():
    text = default_monitor_path().read_text(encoding="utf-8")
    assert MonitorConfig.default().model_dump() == yaml.safe_load(text)
    lines = text.splitlines()
    assert set(yaml.safe_load(text)) == set(MonitorConfig.model_fields)
    for above, line in itertools.pairwise(lines):
        if re.match(r"\w+:", line):
            assert above.startswith("#"), line


def test_one_limit_is_replaced_and_the_others_stay():
    found = MonitorConfig.model_validate({"min_documents": 3})
    expected = {**MonitorConfig.default().model_dump(), "min_documents": 3}
    assert found.model_dump() == expected
    # What was given once is not remembered.
    assert MonitorConfig.model_validate({}) == MonitorConfig.default()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"min_document": 3}, "min_document\n"),
        ({"min_documents": 1}, "greater than or equal to 2"),
        ({"max_increase_bits_per_byte": -0.01}, "greater than or equal to 0"),
        ({"max_increase_bits_per_byte": math.nan}, "max_increase_bits_per_byte"),
        # At zero, rounding alone would make every reference useless.
        ({"max_check_difference_bits_per_byte": 0}, "greater than 0"),
        ({"resamples": 999}, "greater than or equal to 1000"),
        ({"max_fresh_bytes": 999}, "greater than or equal to 1000"),
        (None, "MonitorConfig"),
        ([1], "MonitorConfig"),
    ],
)
def test_what_is_no_limit_is_refused_and_named(given, words):
    with pytest.raises(ValidationError, match=words):
        MonitorConfig.model_validate(given)


def test_limits_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        MonitorConfig.default().min_documents = 3
