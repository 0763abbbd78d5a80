"""ROUGE and BLEU count something in every language, and in ASCII what they always did."""

import pytest
from declaration import ARTICLE_1
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from lmcore.tasks.measures.tokens import RougeWords, bleu_tokenizer


@given(st.text(st.characters(codec="ascii"), max_size=80))
def test_ascii_has_the_tokens_of_rouge_score(text: str) -> None:
    assert RougeWords().tokenize(text) == RougeScorer([], use_stemmer=True)._tokenizer.tokenize(
        text
    )


def test_words_of_other_letters_are_tokens() -> None:
    cut = RougeWords().tokenize
    assert cut("Häuser des Königs") == ["häuser", "des", "königs"]
    assert cut("naïve walking_dogs – ran") == ["naïve", "walk", "dog", "ran"]
    assert cut("ÉTÉ") == cut("e\u0301te\u0301") == ["été"]
    assert cut("मेरी किताबें।") == ["मेरी", "किताबें"]
    assert cut("你好，world") == ["你", "好", "world"]
    assert cut("İstanbul") == cut("i\u0307stanbul")


@pytest.mark.parametrize("language", sorted(ARTICLE_1))
def test_the_tokenizer_of_bleu_follows_the_references(language: str) -> None:
    expected = {"zh": "zh", "ja": "char", "th": "char", "km": "char", "my": "char"}
    assert bleu_tokenizer([ARTICLE_1[language]] * 3) == expected.get(language, "13a")


def test_most_of_the_references_decide() -> None:
    english, chinese = ARTICLE_1["en"], ARTICLE_1["zh"]
    assert bleu_tokenizer([english] * 9 + [chinese]) == "13a"
    assert bleu_tokenizer([chinese] * 9 + [english]) == "zh"
    assert bleu_tokenizer(["カタカナの店名は" + chinese]) == "char"
    assert bleu_tokenizer(["ソ" + chinese * 2]) == "zh"
    assert bleu_tokenizer(["", " 42 !"]) == bleu_tokenizer([]) == "13a"
