from typing import Any


def test_versions_are_listed_newest_first(shell: Any) -> None:
    found = shell.answer("versions", "--model", "speeches")
    assert found["model"] == "speeches"
    assert [(v["version"], v["outcome"], v["aliases"]) for v in found["versions"]] == [
        (2, "rejected", []),
        (1, "promoted", ["champion"]),
    ]
    assert found["versions"][0]["verdict"] == "champion said FAIL"
    header, second, first = (line.split() for line in shell.lines("versions"))
    assert header == ["version", "outcome", "aliases", "validation", "created"]
    assert second[:4] == ["2", "rejected", "-", "-"]
    assert first[:7] == ["1", "promoted", "champion", "1.500", "[1.250,", "1.750]", "bits/byte"]


def test_a_task_is_shown_by_the_metric_that_decides(empty_shell: Any, register: Any) -> None:
    accuracy = {"value": 0.875, "lower": 0.75, "upper": 0.9375, "unit": "share"}
    register(metrics={"macro_f1": {"value": 0.5}, "accuracy": accuracy})
    (_, row) = empty_shell.lines("versions")
    assert "0.8750 [0.7500, 0.9375] share" in row
