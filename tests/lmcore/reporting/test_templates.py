"""The engine escapes what it prints, for HTML and for Markdown, and knows no name by itself."""

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from lmcore.reporting.templates import environment

PAGES = ("report.html.j2", "dashboard.html.j2")


def rendered(source, *, html=True, **values):
    return environment(html=html).from_string(source).render(**values)


def test_html_is_escaped_once_and_controls_are_made_visible():
    assert rendered("<b>{{ x }}</b>", x="<i>&\x1b") == "<b>&lt;i&gt;&amp;␛</b>"
    assert rendered("{{ x }}", x=Markup("<i>")) == "<i>"
    assert rendered('<p title="{{ x }}">', x='"') == '<p title="&#34;">'


def test_markdown_is_escaped_for_markdown_and_not_for_html():
    assert rendered("# {{ x }}", html=False, x="*a* <b> & c") == r"# \*a\* &lt;b&gt; &amp; c"
    assert rendered("{{ x }}", html=False, x=Markup("*a*")) == "*a*"
    assert rendered("{{ x }}", html=False, x=3) == "3"


@pytest.mark.parametrize("html", [True, False])
def test_nothing_is_shown_as_a_dash_and_an_unknown_name_is_an_error(html):
    assert rendered("{{ x }}", html=html, x=None) == "–"
    with pytest.raises(UndefinedError, match="'y' is undefined"):
        rendered("{{ y }}", html=html)
    with pytest.raises(UndefinedError):
        rendered("{% if x.y %}{% endif %}", html=html, x={})


def test_blocks_leave_no_lines_behind_and_a_text_keeps_its_last_line():
    assert rendered("a\n  {% if x %}\nb\n  {% endif %}\nc\n", x=True) == "a\nb\nc\n"


@pytest.mark.parametrize("name", PAGES)
def test_templates_are_found_wherever_they_lie(name):
    assert environment().get_template(name).name == name
    assert environment() is environment()
    assert environment() is not environment(html=False)
