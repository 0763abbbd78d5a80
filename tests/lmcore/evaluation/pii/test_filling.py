"""Made-up numbers pass the checks that published ones pass."""

import random

import phonenumbers
import pytest
from stdnum.br import cpf

from lmcore.evaluation.pii.filling import (
    fill_identity,
    fill_pattern,
    fill_phone,
    with_iban_check,
    with_luhn,
)


def test_check_digits_are_those_of_published_numbers() -> None:
    assert with_luhn("411111111111111") == "4111111111111111"
    assert with_luhn("37828224631000") == "378282246310005"
    assert with_iban_check("DE", "370400440532013000") == "DE89370400440532013000"
    assert with_iban_check("GB", "WEST12345698765432") == "GB82WEST12345698765432"


def test_marks_become_characters_of_their_kind() -> None:
    text = fill_pattern("No. ¤##, ¦¦, ª@", random.Random(0))
    number, hexadecimal, letters = text.split(", ")
    assert number.startswith("No. ")
    assert 100 <= int(number.removeprefix("No. ")) <= 999
    assert int(hexadecimal, 16) < 256
    assert letters[0].isupper()
    assert letters[1] == "@"


def test_a_telephone_number_is_one_of_its_plan() -> None:
    number = fill_phone("+44 (0)20 7### ####", "GB", random.Random(1))
    assert number.startswith("+44 (0)20 7")
    assert phonenumbers.is_valid_number(phonenumbers.parse(number.replace("(0)", "")))
    with pytest.raises(AssertionError, match="no valid number"):
        fill_phone("+44 1111", "GB", random.Random(1))


def test_an_identity_number_has_right_check_digits() -> None:
    number = fill_identity("###.###.###-##", "br.cpf", random.Random(1))
    assert cpf.is_valid(number)
    # Examples that the authorities publish.
    assert fill_identity("112-233-445 95", "snils", random.Random(1)) == "112-233-445 95"
    assert fill_identity("123456789018", "my_number", random.Random(1)) == "123456789018"
    with pytest.raises(AssertionError, match="no valid number"):
        fill_identity("112-233-445 96", "snils", random.Random(1))
