"""What a layperson reads about leanings follows from the gate's evidence alone."""

import math

import pytest

from lmcore.reporting.version.bias import SHOWN_EACH_WAY, bias_section, times
from lmcore.reporting.version.card import render_card
from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.report import render_report


def word(name, model, corpus, **more):
    return {
        "word": name,
        "class": "person",
        "occurrences": 120,
        "female": 30,
        "male": 40,
        **{"model": model, "model_lower": model - 0.3, "model_upper": model + 0.3},
        **{"corpus": corpus, "corpus_lower": corpus - 0.5, "corpus_upper": corpus + 0.5},
        "labour_share": None,
        **more,
    }


def interval(value):
    return {"value": value, "lower": value - 0.1, "upper": value + 0.1, "n": 60, "confidence": 0.95}


@pytest.fixture
def with_bias(report_values, report_of):
    """A report in which the gate found this."""

    def make(*, outcome="PASS", **evidence):
        gate = {
            "gate": "bias_lm",
            "required": False,
            "outcome": outcome,
            **{"value": -0.2, "lower": -0.3, "upper": -0.1, "limit": 0.25, "unit": "logits"},
            "reason": "Over 60 words the model does not exaggerate.",
            "evidence": {
                "axis": "corpus",
                "pronouns": {"she": 100, "he": 900},
                "slopes": {
                    "corpus": {
                        "model": interval(0.2),
                        "corpus": interval(0.4),
                        "amplification": interval(-0.2),
                    }
                },
                **evidence,
            },
        }
        others = [g for g in report_values["gates"] if g["gate"] != "bias_lm"]
        return report_of(gates=[*others, gate])

    return make


LN2 = math.log(2)
WORDS = [word("nurse", 2 * LN2, LN2), word("clerk", 0.0, 0.0), word("sailor", -2 * LN2, -LN2)]


@pytest.mark.parametrize(
    ("doublings", "text"),
    [(0.0, "average"), (1.0, "×2"), (-1.0, "÷2"), (1.5, "×2.8"), (-4.0, "÷16"), (0.05, "average")],
)
def test_odds_in_words(doublings, text):
    assert times(doublings) == text


def test_words_are_shown_against_their_average(with_bias):
    section = bias_section(with_bias(words=WORDS))
    assert [(row.word, row.model, row.corpus) for row in section.rows] == [
        ("nurse", "×4", "×2"),
        ("clerk", "average", "average"),
        ("sailor", "÷4", "÷2"),
    ]
    marks = [row.model_mark.value for row in section.rows]
    assert marks == sorted(marks, reverse=True)
    assert marks[1] == pytest.approx((marks[0] + marks[2]) / 2, abs=0.02)
    assert "average" in [tick.label for tick in section.ticks]
    assert "nurse, the model: ×4, between" in section.rows[0].model_mark.summary


def test_a_higher_base_rate_moves_nothing(with_bias):
    moved = [
        {k: v + 3 if k.startswith(("model", "corpus")) else v for k, v in entry.items()}
        for entry in WORDS
    ]
    one, other = (bias_section(with_bias(words=words)) for words in (WORDS, moved))
    assert one.rows == other.rows


def test_sentences_say_what_how_far_and_how_sure(with_bias):
    text = " ".join(bias_section(with_bias(words=WORDS)).sentences)
    assert text.startswith("The model does not exaggerate the stereotypes of its training text.")
    assert "1.49-fold in the text and 1.22-fold in the model" in text
    assert "between 0.74-fold and 0.90-fold that of the text" in text
    assert "3 words, in all 360 times" in text
    assert "10 % are 'she'" in text


def test_what_was_not_judged_says_why(with_bias):
    data = with_bias(outcome="SKIPPED", words=WORDS, code="PRECONDITION")
    first, second, *_ = bias_section(data).sentences
    assert first == "This was not judged."
    assert second == "Over 60 words the model does not exaggerate."


def test_only_the_ends_are_drawn_and_all_are_listed(with_bias):
    words = [word(f"w{i:02d}", i / 10, i / 20) for i in range(40)]
    section = bias_section(with_bias(words=words))
    assert len(section.rows) == 2 * SHOWN_EACH_WAY
    assert section.rows[0].word == "w39"
    assert section.rows[-1].word == "w00"
    assert len(section.table.rows) == 40


def test_without_evidence_there_is_no_section(with_bias, report_data):
    assert bias_section(report_data) is None
    assert bias_section(with_bias(words=[])) is None
    assert bias_section(with_bias(words=[{"word": "nurse"}, 7, None])) is None
    assert bias_section(ReportData(model="m", outcome="skipped")) is None
    assert 'id="bias"' not in render_report(report_data)


def probes():
    share = {"pairs": 262, "ties": 2, "share": 0.55, "lower": 0.5, "upper": 0.6}
    return {
        "crows_pairs": {"all": share, "kinds": {"gender": share}, "flaws": ["Pairs are flawed."]},
        "weat": {
            "tests": [{"name": "Math and Arts", "d": 0.8, "p": 0.012, "exact": True, "words": 32}],
            "flaws": ["Few words."],
        },
    }


def test_page_and_card_show_it(with_bias, report_data):
    data = with_bias(words=WORDS, probes=probes())
    page = render_report(data)
    assert 'id="bias"' in page
    for text in ("does not exaggerate", "nurse", "×4", "Pairs are flawed.", "All words as numbers"):
        assert text in page
    card = render_card(data)
    assert "### Bias in words" in card
    assert "| nurse | ×4 | ×2 |" in card
    assert "Bias in words" not in render_card(report_data)


def test_strangers_words_stay_words(with_bias):
    attack = "<script>alert(1)</script>"
    entries = [word(attack, 1.0, 1.0, **{"class": attack}), *WORDS]
    hostile = {"crows_pairs": {"kinds": {attack: {"share": 0.5}}, "flaws": [attack]}}
    data = with_bias(words=entries, probes=hostile, axis=attack)
    assert "<script>" not in render_report(data)
    assert "<script>" not in render_card(data)
    far = [word("x", 1e300, -1e300), word("y", math.nan, 0.0), word("z", True, 0.0), *WORDS]
    render_report(with_bias(words=far))
