"""E-mail addresses end where they end, whatever script stands beside them."""

import pytest

from lmcore.data.text.privacy import mask


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Schreib an info@firma.de-Redaktion", "Schreib an <EMAIL>-Redaktion"),
        ("ann@example.org- und", "<EMAIL>- und"),
        ("ann@example.org--see", "<EMAIL>--see"),
        ("anna@müller.de und post@bücher.example", "<EMAIL> und <EMAIL>"),
        ("联系我们service@qq.com谢谢", "联系我们<EMAIL>谢谢"),
        ("メールはtaro@mail.co.jpまで", "メールは<EMAIL>まで"),
        ("kim@naver.com으로 보내", "<EMAIL>으로 보내"),
        ("อีเมลa.b@c.thครับ", "อีเมล<EMAIL>ครับ"),
        ("почта: иван@почта.рф.", "почта: <EMAIL>."),
        ("info@ドメイン.jpです", "<EMAIL>です"),
        ("info@网址.中国谢谢", "<EMAIL>谢谢"),
        ("x＠example．com", "<EMAIL>"),
        ("a&b@example.org", "<EMAIL>"),
        ("root@xn--bcher-kva.example", "<EMAIL>"),
        ("mailto:ann@example.org?subject=x", "mailto:<EMAIL>?subject=x"),
    ],
)
def test_an_address_is_taken_and_nothing_beside_it(text: str, expected: str) -> None:
    assert mask(text).text == expected


def test_chinese_text_beside_an_address_stays() -> None:
    # Word characters of regular expressions took 64 of them.
    before = "这是一段很长的文字" * 10
    assert mask(f"{before}ann@example.org{before}").text == f"{before}<EMAIL>{before}"
    # Of an address written in them wholly, a name of six characters is taken.
    masked = mask(f"{before}@例子.中国").text
    assert masked == f"{before[:-6]}<EMAIL>"


@pytest.mark.parametrize(
    "text",
    ["icon@2x.png", "react@18.2.0", "pkg@1.0.0-beta.rc", "a@b", "@user", "5 @ 3.50", "u@localhost"],
)
def test_other_uses_of_the_sign_stay(text: str) -> None:
    assert mask(text).text == text
