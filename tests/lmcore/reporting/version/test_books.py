"""What is said of the data follows from the counts alone."""

from lmcore.reporting.tables import MAX_ROWS
from lmcore.reporting.version import books
from lmcore.reporting.version.facts.report import ReportData


def test_rules_that_found_nothing_are_named_in_the_note(report_data):
    table = books.rules(report_data)
    assert table is not None
    assert [row[0] for row in table.rows] == ["normalise unicode", "exact duplicate"]
    assert table.note == "Found nothing: empty, too long."


def test_an_account_of_another_shape_is_still_shown(report_of):
    data = report_of(
        account={
            "rules": {"too_short": {"documents": 3, "action": "dropped"}, "binary": 2},
        },
    )
    table = books.rules(data)
    assert table is not None
    assert [row[:3] for row in table.rows] == [("too short", "dropped", "3"), ("binary", "", "2")]
    assert books.rules(report_of(account={"rules": 3})) is None


def test_a_table_without_end_is_cut_and_says_so(report_of):
    rules = [{"rule": f"r{i}", "documents": 1} for i in range(1_000)]
    table = books.rules(report_of(account={"rules": rules}))
    assert table is not None
    assert len(table.rows) == MAX_ROWS
    assert table.note == "800 more rows are not shown."


def test_shares_are_of_the_bytes_and_name_what_the_policy_blocks(report_of):
    sources = [
        {"license": "MIT", "origin": "a", "documents": 1, "bytes": 300},
        {"license": "unknown", "origin": "b", "documents": 1, "bytes": 100},
    ]
    data = report_of(sources=sources, documents={"blocked_licenses": ["unknown"]})
    shares = books.source_shares(data)
    assert [(s.name, s.share, s.blocked) for s in shares] == [
        ("a", "75 %", False),
        ("b", "25 %", True),
    ]
    licenses = books.license_shares(data)
    assert [(s.name, s.percent, s.blocked) for s in licenses] == [
        ("MIT", 75.0, False),
        ("unknown", 25.0, True),
    ]
    assert books.license_shares(ReportData(model="m", outcome="skipped")) == []


def test_the_split_table_gives_each_side_its_share(report_data):
    table = books.splits(report_data)
    assert table is not None
    assert table.rows[0] == ("train", "learnt from", "213", "10.2 MB", "85.1 %")
    assert [row[0] for row in table.rows] == ["train", "tune", "validation", "anchor", "excluded"]


def test_languages_have_their_shares_and_what_is_odd_about_them(report_of):
    sizes = {"en": 750, "de": 200, "und": 50}
    documents = {"languages": sizes, "language_remarks": ["texts are also in de"]}
    shown = dict(books.facts(report_of(documents=documents)))
    assert shown["Languages, by bytes"] == "en 75 %, de 20 %, not told 5 %"
    assert shown["Mixture of languages"] == "texts are also in de"
    assert books.main_languages(report_of(documents=documents)) == ["en", "de"]
    assert books.main_languages(report_of(documents={})) == []
    many = {f"x{n}": 1 for n in range(12)}
    shown = dict(books.facts(report_of(documents={"languages": many})))
    assert shown["Languages, by bytes"].endswith("x5 8.3 %, ...")
    assert "Mixture of languages" not in shown


def test_what_templates_share_is_said_where_there_are_any(report_of):
    letters = {"template_documents": 600, "template_share": 0.8514}
    found = dict(books.facts(report_of(documents=letters)))
    assert found["Letters of a template"] == "600: 85.1 % of them is on both sides"
    for without in ({"template_documents": 0, "template_share": 0.0}, {}):
        assert "Letters of a template" not in dict(books.facts(report_of(documents=without)))


def test_a_pretrained_model_is_told_by_what_is_known_of_it(report_of):
    found = dict(books.pretrained(report_of(pretrained={"name": "small", "license": "MIT"})))
    assert found == {"Model": "small", "Licence": "MIT", "Has read text until": "not known"}
    assert books.pretrained(report_of()) == []
    assert books.what_is_not_recorded(report_of()) == ""


def test_how_many_held_out_documents_are_later_is_said(report_of, report_values):
    def told(known_until="2024-11-30", **later):
        metrics = {**report_values["metrics"], **later}
        pretrained = {"name": "small", "known_until": known_until}
        return books.what_is_not_recorded(report_of(metrics=metrics, pretrained=pretrained))

    later = {"val_later_bits_per_byte": {"value": 1.0, "unit": "bits/byte", "n": 22}}
    assert told(**later).endswith("Of the 25 held-out documents 22 are later.")
    assert told().endswith("Of the 25 held-out documents none is later.")
    one = {"val_later_bits_per_byte": {"value": 1.0, "unit": "bits/byte", "n": 1}}
    assert told(**one).endswith("Of the 25 held-out documents 1 is later.")
    assert "held-out documents" not in told(known_until="", **later)
