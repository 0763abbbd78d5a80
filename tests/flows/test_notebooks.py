"""The notebooks of `examples`, run as they are printed, each in an empty folder."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


def outputs(notebook: nbformat.NotebookNode) -> str:
    """What its cells printed or showed as text."""
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(str(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LMCORE_HOME", "MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for beside in path.parent.glob("*.py"):
        shutil.copy(beside, tmp_path)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, kernel_name="python3", timeout=600, resources=place).execute()
    said = outputs(notebook)
    assert "promoted version 1" in said
    # The ship's own cargo, by far.
    assert "roofing slate" in said


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_it_shows_names_no_machine(path: Path) -> None:
    kept = outputs(nbformat.read(path, as_version=4))
    assert "promoted version 1" in kept
    assert "/home/" not in kept.replace("harbour/home/", "")
    assert str(Path.cwd().parent) not in kept
