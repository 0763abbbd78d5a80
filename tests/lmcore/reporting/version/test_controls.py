"""Which controls stand behind each gate's answer: one row a gate that was asked."""

from lmcore.reporting.version.controls import control_table


def gate(name, status="vouched", outcome="PASS", cases=(), **standing):
    values = {"status": status, "version": "f" * 64, "date": "2026-11-24", **standing}
    controls = [
        dict(zip(("control", "kind", "as_expected", "seeds"), case, strict=True)) for case in cases
    ]
    return {
        "gate": name,
        "outcome": outcome,
        "evidence": {"controls": {**values, "controls": controls}},
    }


def test_each_gate_names_what_it_caught_and_let_through(report_of):
    cases = [
        ("noise", "negative", 20, 20),
        ("sound", "healthy", 19, 20),
        ("untrained", "negative", 99, 100),
    ]
    table = control_table(report_of(gates=[gate("data_sufficiency", cases=cases)]))
    assert table.header == ("Gate", "Caught", "Let through", "Version", "When")
    assert table.rows == (
        (
            "data sufficiency",
            "noise 20 of 20; untrained 99 of 100",
            "sound 19 of 20",
            "ffffffffffffffff… (48 more characters)",
            "2026-11-24",
        ),
    )


def test_a_miss_is_said_and_what_was_not_tried_is_no_success(report_of):
    cases = [("noise", "negative", 3, 20)]
    data = report_of(
        gates=[
            gate("champion", "missed", cases=cases, version="ab"),
            gate("pii", "not run", cases=cases, version="cd"),
            gate("competence", "", version=""),
        ]
    )
    missed, not_run, unknown = control_table(data).rows
    assert missed == ("champion", "MISSED: noise 3 of 20", "", "ab", "2026-11-24")
    for name, version, row in (("pii", "cd", not_run), ("competence", "", unknown)):
        assert row[0] == name
        assert row[1].startswith("not tried at this version")
        assert row[2:] == ("", version, "")


def test_gates_that_were_skipped_or_say_nothing_of_controls_have_no_row(report_of, report_data):
    assert control_table(report_data) is None
    assert control_table(report_of(gates=[gate("exposure", outcome="SKIPPED")])) is None
    mixed = [gate("exposure", outcome="SKIPPED"), {"gate": "pii", "outcome": "PASS"}, gate("a")]
    assert [row[0] for row in control_table(report_of(gates=mixed)).rows] == ["a"]
