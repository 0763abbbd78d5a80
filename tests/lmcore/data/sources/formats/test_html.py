"""Pages: main text without what stands around it; and no page, however broken, raises."""

import office_files as office
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.sources.formats.html import main_text, page_text, visible_text

LINES = [f"The river of the valley runs past house number {i} and on to the sea." for i in range(6)]


def test_the_main_text_is_told_apart_and_the_title_is_a_column() -> None:
    found = main_text(office.html_page(LINES))
    assert found["text"].split("\n") == ["On rivers", *LINES]
    assert found["title"] == "On rivers"
    assert all(isinstance(value, str) for value in found.values())


def test_a_short_page_gives_all_that_is_seen_of_it() -> None:
    page = "<nav>menu</nav><p>one<br>two</p><script>x()</script>tail<ul><li>item</ul><!-- no -->"
    lines = [line for line in visible_text(page).split("\n") if line]
    assert lines == ["one", "two", "tail", "* item"]
    assert visible_text("<p>new</p><blockquote>old</blockquote>on", without="//blockquote") == (
        "new\n\non"
    )
    assert visible_text("") == visible_text("<!-- -->") == ""


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<p>ä".encode(), "<p>ä"),
        (b"<meta charset='koi8-r'><p>" + "Дом".encode("koi8-r"), "<meta charset='koi8-r'><p>Дом"),
        (b"<meta charset=iso-8859-1>\x93q\x94", "<meta charset=iso-8859-1>\u201cq\u201d"),
        (b"\xff\xfe" + "<p>a".encode("utf-16-le"), "\ufeff<p>a"),
        (b"<meta charset=nonsense>\xff", None),
        (b"\xff", None),
    ],
)
def test_a_page_is_decoded_as_it_says(raw: bytes, text: str | None) -> None:
    assert page_text(raw) == text


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.sampled_from(["<p>", "</p>", "<div", ">", "<!--", "-->", "<table><tr>", "&#0;", "&amp"])
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
        max_size=20,
    ).map("".join)
)
def test_broken_pages_are_read_like_others(page: str) -> None:
    assert isinstance(visible_text(page), str)
    assert isinstance(main_text(page)["text"], str)


def test_a_list_of_thousands_is_no_article(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "<ul>" + "<LI>item" * 5_001 + "</ul>"
    monkeypatch.setattr("trafilatura.bare_extraction", None)  # it would take minutes
    assert main_text(page)["text"].count("item") == 5_001
    assert main_text("a<br>" * 50_001)["text"].count("a") == 50_001
