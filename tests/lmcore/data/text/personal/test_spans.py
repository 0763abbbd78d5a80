"""What finders give back sorts by place."""

from lmcore.data.text.personal.spans import Found


def test_found_sorts_by_place() -> None:
    assert sorted([Found(9, 12, "IP"), Found(2, 5, "SSN")])[0].kind == "SSN"
