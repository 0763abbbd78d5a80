"""Accounts and cards are decided by their check digits, however they are written."""

import pytest

from lmcore.data.text.personal.accounts import iban_valid, luhn_valid
from lmcore.data.text.privacy import mask


@pytest.mark.parametrize(
    "account",
    [
        *("DE89370400440532013000", "de89 3704 0044 0532 0130 00", "DE89-3704-0044-0532-0130-00"),
        *("DE 89 3704 0044 0532 0130 00", "de 89 370400440532013000"),
        *("GB82\u00a0WEST\u00a01234\u00a05698\u00a07654\u00a032", "gb82west12345698765432"),
        "CR05 0152 0200 1026 2840 66",
        *("FR76 30006 00001 12345678901 89", "NO93 8601 11 17947"),
    ],
)
def test_every_spelling_of_an_account_is_found(account: str) -> None:
    assert mask(f"账户{account}。").text == "账户<IBAN>。"
    assert mask(f"IBAN:{account} OK").text == "IBAN:<IBAN> OK"


@pytest.mark.parametrize(
    "card",
    [
        *(
            "4111111111111111",
            "4111\u20091111\u20091111\u20091111",
            "4111\u20111111\u20111111\u20111111",
        ),
        *("4111.1111.1111.1111", "3782 822463 10005", "3056 930902 5904"),
    ],
)
def test_every_spelling_of_a_card_is_found(card: str) -> None:
    assert mask(f"卡号{card}，").text == "卡号<CARD>，"


@pytest.mark.parametrize(
    "text",
    [
        *("DE89370400440532013001", "MD 194 crosses Big Pipe Creek", "DE 12 34", "VAT DE123456789"),
        *("4111 1111 1111 1112", "1234 5678 9012 3456", "XX89370400440532013000"),
    ],
)
def test_what_fails_the_check_stays(text: str) -> None:
    assert mask(text).text == text


def test_checksums() -> None:
    assert luhn_valid("79927398713")  # the example of the standard
    assert not luhn_valid("79927398710")
    assert iban_valid("GB82WEST12345698765432")
    assert not iban_valid("GB82WEST12345698765423")
    assert not iban_valid("GB82WEST1234569876543")
