"""The training log as charts over one axis of steps."""

from lmcore.reporting.version import curves


def test_curves_share_the_planned_steps_and_mark_the_kept_one(report_of):
    report_data = report_of()
    charts = curves.curves(report_data)
    assert [chart.name for chart in charts] == ["loss", "tune", "rate"]
    assert charts[1].mark == (95.0, "kept: step 950")
    assert {chart.ticks_x[-1].label for chart in charts} == {"1,000"}
    chosen = report_of(best_step=500)
    assert curves.curves(chosen)[1].mark == (50.0, "kept: step 500")
    table = curves.curve_table(report_data)
    assert table is not None
    assert (table.rows[0][0], table.rows[-1][0]) == ("50", "950")
    empty = report_of(curve=[{"loss_nats": float("nan"), "step": 1}, {"loss_nats": 1.0}, 3])
    assert curves.curves(empty) == []
    assert curves.curve_table(empty) is None
