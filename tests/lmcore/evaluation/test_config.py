import itertools
import math
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmcore.config import parse_config
from lmcore.errors import ConfigError
from lmcore.evaluation import config
from lmcore.evaluation.config import GatesConfig, default_gates_path


def parse(gates):
    return parse_config({"name": "x", "sources": [{"path": "a"}], "gates": gates}, where="f").gates


def test_default_is_the_installed_file_and_every_limit_has_a_comment():
    text = default_gates_path().read_text()
    assert GatesConfig.default().model_dump(mode="json") == yaml.safe_load(text)
    lines = [line.strip() for line in text.splitlines()]
    for above, line in itertools.pairwise(lines):
        if re.fullmatch(r"\w+: \S.*", line) and not line.startswith("required"):
            assert above.startswith("#"), line


def test_override_changes_one_limit_and_the_fingerprint():
    changed = parse({"overfitting": {"max_relative_gap": 0.05}})
    default = GatesConfig.default()
    assert changed.overfitting.max_relative_gap == 0.05
    assert changed.overfitting.max_membership_auc == default.overfitting.max_membership_auc
    assert changed.champion == default.champion
    assert changed.fingerprint() != default.fingerprint()
    assert parse({}).fingerprint() == default.fingerprint()


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ({"overfiting": {}}, "did you mean 'overfitting'"),
        ({"champion": {"min_gain": 1}}, "did you mean 'min_gain_bits_per_byte'"),
        ({"required": ["compet"]}, "expected 'instrument'"),
        ({"required": []}, "at least one gate"),
        ({"required": ["champion", "champion"]}, "champion is repeated"),
        ({"overfitting": {"max_relative_gap": -0.1}}, "-0.1: expected greater than 0"),
        ({"overfitting": {"max_relative_gap": math.nan}}, "overfitting.max_relative_gap"),
        ({"competence": {"max_difference_bits_per_byte": 0.1}}, "less than or equal to 0"),
        ({"competence": {"baseline_order": 7}}, "5, 6 or 8"),
        ({"champion": {"min_gain_bits_per_byte": 0}}, "greater than 0"),
        ({"instrument": None}, "gates.instrument"),
        ({"bias_lm": {"min_votes": 30}}, "min_votes=30 is above min_occurrences=20"),
        ({"bias_lm": {"max_amplification_logits": 0}}, "greater than 0"),
        ({"bias_lm": {"max_absolute_slope_logits": -1}}, "greater than 0"),
        ({"evaluation": {"probes": {"crows": "x"}}}, "did you mean 'crows_pairs'"),
        ("text", "gates"),
        ([1], "gates"),
    ],
)
def test_wrong_limits_are_refused_with_the_key(gates, words):
    with pytest.raises(ConfigError) as error:
        parse(gates)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.001, 4), st.floats(0, 3))
def test_margin_is_never_below_twice_the_spread_of_seeds(gain, sigma):
    limits = {"min_gain_bits_per_byte": gain, "seed_sigma_bits_per_byte": sigma}
    margin = GatesConfig.model_validate({"champion": limits}).champion.margin_bits_per_byte
    assert margin >= gain
    assert margin >= 2 * sigma


@pytest.mark.parametrize(("name", "module"), [("ja-mecab", "MeCab"), ("ko-mecab", "mecab_ko")])
def test_a_tokenizer_of_bleu_that_is_not_installed_is_refused(monkeypatch, name, module):
    monkeypatch.setattr(config, "find_spec", lambda wanted: None)
    with pytest.raises(
        ConfigError, match=rf"bleu_tokenizer.*{name} needs the Python module {module}"
    ):
        parse({"tasks": {"bleu_tokenizer": name}})
    monkeypatch.setattr(config, "find_spec", lambda wanted: object())
    assert parse({"tasks": {"bleu_tokenizer": name}}).tasks.bleu_tokenizer == name
    with pytest.raises(ConfigError, match="bleu_tokenizer"):
        parse({"tasks": {"bleu_tokenizer": "words"}})


def test_config_is_immutable():
    with pytest.raises(ValidationError):
        GatesConfig.default().instrument.tolerance = 1.0


def test_a_budget_is_off_until_somebody_sets_one():
    assert GatesConfig.default().evaluation.budget_seconds is None
    given = GatesConfig.model_validate({"evaluation": {"budget_seconds": 600}})
    assert given.evaluation.budget_seconds == 600
    with pytest.raises(ValidationError, match="budget_seconds"):
        GatesConfig.model_validate({"evaluation": {"budget_seconds": 0}})
