import pytest

from lmcore.data.sources.find_files import matches, printable


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a.txt", "*.txt", True),
        ("sub/deep/a.txt", "*.txt", True),
        ("sub/deep/a.txt", "sub/*.txt", False),
        ("sub/deep/a.txt", "sub/**/*.txt", True),
        ("sub/a.txt", "sub/**/*.txt", True),
        ("xsub/a.txt", "sub/*.txt", False),
        ("a.txt", "[ab].txt", True),
        ("c.txt", "[!ab].txt", True),
        ("a.txt\n", "*.txt", False),
        ("a+b.txt", "a+b.txt", True),
        ("ab.txt", "a?.txt", True),
    ],
)
def test_globs_match_the_end_of_a_path(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


def test_names_are_printable_text() -> None:
    assert printable("a\udcffb\n\x1b.txt") == "a\\udcffb\\n\\x1b.txt"
    assert printable("日本語.txt") == "日本語.txt"
