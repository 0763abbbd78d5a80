import re

from lmcore.reporting.version.changes import changes_view
from lmcore.reporting.version.report import render_report


def estimate(value: float) -> dict[str, object]:
    return {"value": value, "lower": value - 0.1, "upper": value + 0.1, "unit": "bits/byte", "n": 9}


CHANGES = {
    "version": 2,
    "outcome": "rejected",
    "documents": [240, 249],
    "added": 12,
    "removed": 3,
    "config": [["training.max_steps", "40", "60"], ["broken"], ["model.dropout", "", "0.1"]],
    "code_changed": True,
    "metrics": [{"name": "val_bits_per_byte", "before": estimate(1.6), "now": estimate(1.4)}],
    "samples": [{"prompt": "Fellow", "before": "old <b>words", "now": "new words"}],
}


def test_what_is_new_stands_side_by_side(report_of, report_data):
    data = report_of(changes=CHANGES)
    found = changes_view(data)
    assert found is not None
    assert found.title == "Since version 2 (rejected)"
    assert found.sentences[0] == "Text: 12 documents new, 3 gone, now 249 documents."
    assert "Code: changed." in found.sentences
    assert found.config is not None
    assert found.config.rows == (
        ("training.max_steps", "40", "60"),
        ("model.dropout", "-", "0.1"),
    )
    assert found.metrics is not None
    ((_, before, now),) = found.metrics.rows
    assert before.startswith("1.60 bits/byte")
    assert now.startswith("1.40 bits/byte")
    page = render_report(data)
    assert "old &lt;b&gt;words" in page
    assert page.index("new words") < page.index('id="gates"')


def test_a_first_version_has_nothing_to_be_compared_with(report_of):
    assert changes_view(report_of(changes={})) is None
    assert 'id="changes"' not in render_report(report_of(changes={}))


def test_nonsense_in_the_changes_is_left_out(report_of):
    raw = {"version": 1, "config": "x", "metrics": [3], "samples": {}, "documents": 7}
    found = changes_view(report_of(changes=raw))
    assert found is not None
    assert (found.config, found.metrics, found.samples) == (None, None, ())


def test_a_long_cell_wraps_and_is_cut_with_its_text_as_a_title(report_of):
    account = {"near_duplicates": {"pairs": 2, "examples": "file.txt and other.txt, " * 20}}
    page = render_report(report_of(account=account))
    assert re.search(r'<td [^>]*class="num"[^>]*><bdi>2</bdi>', page)
    assert re.search(r'<td [^>]*class="long" title="file.txt and', page)
