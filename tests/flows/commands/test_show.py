from pathlib import Path
from typing import Any

from flows.registry.models import Registry
from lmcore.errors import NotFoundError


def test_a_version_is_shown_with_all_that_it_was_made_from(
    trained_shell: Any, champion: Any
) -> None:
    shown = trained_shell.answer("show", "champion")
    assert (shown["model"], shown["version"], shown["outcome"]) == ("lines", 1, "promoted")
    assert shown["aliases"] == ["champion"]
    assert shown["reason"] == champion.verdict != ""
    assert [(gate["gate"], gate["outcome"]) for gate in shown["gates"]] == [("competence", "PASS")]
    assert shown["fingerprints"] == champion.fingerprints
    assert (shown["mlflow_run_id"], shown["prefect_flow_run_id"]) == (champion.run_id, "flow-1")
    (source,) = shown["lineage"]["sources"]
    assert set(source) == {"license", "origin", "documents", "bytes"}
    assert (source["license"], source["origin"], source["documents"]) == ("CC0-1.0", "a test", 80)
    assert shown["lineage"]["plan"]["steps"] == 3
    assert "<script" not in Path(shown["report"]).read_text()
    assert Path(shown["card"]).read_text().startswith("---\n")


def test_people_see_gates_metrics_sources_and_where_the_pages_are(
    trained_shell: Any, champion: Any
) -> None:
    lines = trained_shell.lines("show", "v1", "--model", "lines")
    assert lines[0] == "lines version 1 (champion)"
    assert lines[1] == f"  promoted: {champion.verdict}"
    assert "  PASS         competence  a test" in lines
    assert ["val_bits_per_byte", "2.500", "[2.250,", "2.750]", "bits/byte", "-"] in [
        line.split() for line in lines
    ]
    registry = Registry(trained_shell.home)
    size = sum(row["num_bytes"] for row in registry.open(champion).documents())
    assert f"  80 documents, {size:,} bytes, licence CC0-1.0: a test" in lines
    assert f"  weights    {champion.weights_sha256}" in lines
    assert lines[-2].split()[0] == "report"
    assert Path(lines[-1].split(maxsplit=1)[1]).name == "README.md"


def test_a_version_that_is_not_there_is_named(shell: Any) -> None:
    for which, reason in (("7", "model speeches has no version 7"), ("best", "no alias 'best'")):
        refused = shell.refusal("show", which)
        assert isinstance(refused, NotFoundError)
        assert reason in str(refused)


def test_the_pretrained_model_is_shown(tuned_shell: Any) -> None:
    shown = tuned_shell.answer("show", "2")
    assert shown["pretrained"] == tuned_shell.answer("lineage", "2")["pretrained"]
    lines = tuned_shell.lines("show", "2")
    assert "pretrained model" in lines
    assert any("llama, licence Apache-2.0 (base-llama version 1)" in line for line in lines)
