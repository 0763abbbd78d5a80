"""Languages are told as the package tells them, and short or empty text has none."""

import time

import numpy as np
import pytest
from declaration import ARTICLE_1
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from lmcore.data.language_codes import KNOWN, UNDETERMINED, counts_as
from lmcore.data.text import languages as module
from lmcore.data.text.languages import identifier

THEIRS = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def test_every_language_of_the_declaration_is_told() -> None:
    assert identifier().languages(list(ARTICLE_1.values())) == list(ARTICLE_1)


def test_a_sentence_is_enough() -> None:
    starts = {code: text[:40] for code, text in ARTICLE_1.items()}
    assert identifier().languages(list(starts.values())) == list(starts)


def test_the_codes_are_those_that_can_be_asked_for() -> None:
    assert identifier().codes == KNOWN


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(sorted(ARTICLE_1.values())),
            st.text(min_size=20, max_size=1_500),
            st.text("abcdefgh ", min_size=30, max_size=300),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_likelihoods_are_those_of_the_package(texts: list[str]) -> None:
    parts = sorted(filter(None, map(module._part, texts)), key=len, reverse=True)
    if not parts:
        return
    shares = identifier()._shares(parts)
    for part, own in zip(parts, shares, strict=True):
        theirs = dict.fromkeys(identifier()._codes, 0.0)
        for code, share in THEIRS.rank(part.decode()):
            theirs[counts_as(code)] += share
        assert own == pytest.approx(np.array([theirs[c] for c in identifier()._codes]), abs=2e-3)


def test_texts_together_or_alone_and_in_any_order() -> None:
    texts = [*ARTICLE_1.values(), "", "42"] * 12
    together = identifier().languages(texts)
    assert together == [identifier().languages([text])[0] for text in texts]
    assert identifier().languages(texts[::-1]) == together[::-1]
    assert identifier().languages([]) == []


@pytest.mark.parametrize(
    "text",
    ["", "ok", "Good film.", "1,204.5 | 33.1 | 88", "!!! ??? ...", "\udc80 \ud800", "人人生而"],
)
def test_too_little_text_has_no_language(text: str) -> None:
    assert identifier().languages([text]) == [UNDETERMINED]


def test_a_few_characters_say_more_in_other_scripts() -> None:
    assert identifier().languages(
        ["人人生而自由平等。", "人間は理性と良心", "모든 인간은 자유로"]
    ) == [*("zh", "ja", "ko")]


def test_only_the_beginning_is_read_and_capitals_are_no_other_language() -> None:
    long = ARTICLE_1["de"] * 10 + ARTICLE_1["fr"] * 10_000
    assert identifier().languages([long, ARTICLE_1["en"].upper()]) == ["de", "en"]
    assert len(module._part("é" * 10_000_000)) == 2 * module.MAX_CHARACTERS


def test_it_is_loaded_once_whoever_asks_while_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[int] = []

    def slow(self: module.Identifier) -> None:
        began.append(1)
        time.sleep(0.2)

    module._loaded.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(module.Identifier, "__init__", slow)
        module.load_beside()
        found = [identifier() for _ in range(2)]
        assert found[0] is found[1]
        assert began == [1]
    module._loaded.cache_clear()
