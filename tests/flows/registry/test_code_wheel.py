"""The wheel that a version brings along: this very code, installable, and the same every time."""

import base64
import csv
import hashlib
import importlib.metadata
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import grimp
import pytest

import lmcore
from flows.registry import code_wheel as module
from flows.registry.code_wheel import (
    FOLDER,
    LIBRARIES,
    LIBRARIES_OF_PRETRAINED,
    CodeWheel,
    code_wheel,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel() -> CodeWheel:
    return code_wheel()


def test_the_wheel_is_this_very_code(wheel: CodeWheel) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        inside = {n: archive.read(n) for n in archive.namelist() if ".dist-info/" not in n}
    kinds = ("*.py", "*.json", "*.j2", "py.typed")
    package = {path for kind in kinds for path in (ROOT / "lmcore").rglob(kind)}
    expected = {str(path.relative_to(ROOT)): path.read_bytes() for path in package}
    values = (ROOT / "configs").glob("*.yaml")
    expected.update({f"lmcore/configs/{path.name}": path.read_bytes() for path in values})
    assert inside == expected


def test_the_record_holds_of_every_file(wheel: CodeWheel) -> None:
    info = f"lmcore-{wheel.version}.dist-info"
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        rows = list(csv.reader(archive.read(f"{info}/RECORD").decode().splitlines()))
        assert [name for name, _, _ in rows] == archive.namelist()
        for name, spelled, size in rows[:-1]:
            content = archive.read(name)
            assert len(content) == int(size)
            found = base64.urlsafe_b64decode(spelled.removeprefix("sha256=") + "=")
            assert found == hashlib.sha256(content).digest()
    assert rows[-1] == [f"{info}/RECORD", "", ""]


def test_the_same_code_is_the_same_wheel_and_other_code_another_version(
    wheel: CodeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_wheel.__wrapped__() == wheel
    files = module._package_files()
    monkeypatch.setattr(module, "_package_files", lambda: {**files, "lmcore/errors.py": b"x = 1\n"})
    other = code_wheel.__wrapped__()
    assert other.version != wheel.version
    # No index takes a version with a `+`, so nobody can offer another package under it.
    assert wheel.version.startswith(f"{lmcore.__version__}+")


def test_the_libraries_are_what_serving_imports() -> None:
    graph = grimp.build_graph(
        "lmcore", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    found = graph.find_upstream_modules("lmcore.serving")
    others = {n for n in found if not n.startswith("lmcore.")} - sys.stdlib_module_names
    distributions = importlib.metadata.packages_distributions()
    imported = {distributions[name][0].lower() for name in others}
    # Of these it imports two, and one of them the third.
    of_pretrained = set(LIBRARIES_OF_PRETRAINED) - {"accelerate"}
    assert {*LIBRARIES, *of_pretrained} == imported, "name in LIBRARIES what is imported now"


def test_requirements_are_pinned_and_ours_is_found_beside_them(wheel: CodeWheel) -> None:
    own, *pins = wheel.requirements()
    assert own == f"--requirement={FOLDER}/lmcore-{wheel.version}.txt"
    assert all("==" in pin and "+" not in pin for pin in pins)
    assert {pin.partition("==")[0] for pin in pins} == {*LIBRARIES, "mlflow"}
    pytest.importorskip("transformers")
    more = set(wheel.requirements(pretrained=True)) - {own, *pins}
    assert {pin.partition("==")[0] for pin in more} == set(LIBRARIES_OF_PRETRAINED)


@pytest.mark.slow
def test_pip_installs_it_from_any_folder(wheel: CodeWheel, tmp_path: Path) -> None:
    model, target = tmp_path / "model", tmp_path / "target"
    model.mkdir()
    wheel.write(model)
    (model / "requirements.txt").write_text(wheel.requirements()[0] + "\n")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-compile", "--target", str(target)]
    subprocess.run([*command, "-r", str(model / "requirements.txt")], cwd=tmp_path, check=True)
    asked = "import lmcore.serving as s, lmcore.config_file as c"
    asked += "; print(s.__file__, c.load_config().name)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", asked],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(target / "lmcore" / "serving.py"), "annual-messages"]
