"""What is installed: files that a lock names by version and hash, and nothing else."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted([*ROOT.glob("*.lock"), *ROOT.glob("deploy/*.lock"), *ROOT.glob("mlflow/*.lock")])
PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.+]+)((?: --hash=sha256:[0-9a-f]{64})*)")
Pins = dict[str, tuple[str, frozenset[str]]]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def lines_of(path: Path) -> list[str]:
    joined = re.sub(r" \\\n +", " ", path.read_text())
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def pins_of(name: str) -> Pins:
    found = [PIN.fullmatch(line) for line in lines_of(ROOT / name)]
    return {canonical(m[1]): (m[2], frozenset(m[3].split())) for m in found if m}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_line_of_every_lock_is_a_version_with_hashes(path: Path) -> None:
    lines = lines_of(path)
    assert lines
    assert [line for line in lines if not (m := PIN.fullmatch(line)) or not m[3]] == []
    assert len(pins_of(str(path.relative_to(ROOT)))) == len(lines)


def test_the_lock_pins_every_requirement() -> None:
    pins = pins_of("requirements.lock")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "requirements.lock": [*project["dependencies"], *extras["dev"], *extras["office"]],
        "requirements-pretrained.lock": extras["pretrained"],
        "requirements-onnx.lock": extras["onnx"],
        "requirements-remote.lock": extras["remote"],
        "requirements-pools.lock": extras["pools"],
        "requirements-runners.lock": [*extras["dask"], *extras["ray"]],
    }
    for name, requirements in wanted.items():
        locked = pins_of(name)
        for requirement in requirements:
            found = re.match(r"[\w.-]+", requirement)
            assert found is not None
            assert canonical(found[0]) in locked, requirement
    assert tuple(map(int, pins["fastapi"][0].split("."))) < (0, 151)
    version, hashes = pins["torch"]
    assert version == "2.13.0"
    # Its other builds are the same version: for processors alone, and PyPI's, which is for GPUs.
    (build,) = pins_of("requirements-cpu.lock").items()
    assert build[1][0] == f"{version}+cpu"
    assert build[1][1] < hashes
    assert not set(pins) & set(pins_of("requirements-cuda.lock"))


def test_images_install_parts_of_the_lock_that_lack_nothing() -> None:
    whole = pins_of("requirements.lock")
    parts = [path for path in LOCKS if path.parent != ROOT]
    assert len(parts) == 3
    for path in [*parts, ROOT / "requirements-build.lock"]:
        assert pins_of(str(path.relative_to(ROOT))).items() <= whole.items()
    command = [sys.executable, str(ROOT / "scripts" / "make_locks"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_whatever_is_installed_is_asked_for_its_hash() -> None:
    dockerfiles = [ROOT / "deploy" / "Dockerfile", ROOT / "mlflow" / "Dockerfile"]
    text = "\n".join(path.read_text().replace("\\\n", " ") for path in dockerfiles)
    commands = re.findall(r"pip install ([^&;\n]*)", text)
    assert len(commands) == 5 + 1
    (own,) = [command for command in commands if "--require-hashes" not in command]
    assert own.split() == ["--no-deps", "--no-build-isolation", "/build/lmcore"]
    for command in commands:
        assert "--no-deps" in command
        # What builds a package is fetched without a hash where it builds apart.
        assert "--only-binary :all:" in command or "--no-build-isolation" in command
    makefile = (ROOT / "Makefile").read_text()
    # The one pip is that of `scripts/install`, which adds no other source of files.
    assert (makefile.count("pip install"), makefile.count("/install --")) == (0, 1)
    script = (ROOT / "scripts" / "install").read_text()
    assert re.findall(r'"pip", (.*)\]', script) == [
        '"install", "--progress-bar", "off", *arguments'
    ]
    assert set(re.findall(r"\$\((?:INSTALL|LOCKED)\) -\w (\S+)", makefile)) == {
        *(f"requirements{part}.lock" for part in ("", "-build", "-cpu", "-dev", "-onnx")),
        *("requirements-pretrained.lock", "requirements-remote.lock"),
        *("requirements-pools.lock", "requirements-runners.lock"),
        *("requirements-cuda.lock;", "."),
    }
    assert re.findall(r"\$\(INSTALL\) (.*)", makefile) == ["--require-hashes --use-pep517", "-e ."]


def test_an_altered_wheel_is_refused(tmp_path: Path) -> None:
    """With the options of the Makefile: the file that was locked, then one byte more in it."""
    shelf, lock = tmp_path / "shelf", tmp_path / "some.lock"
    shelf.mkdir()
    wheel = shelf / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing.py", "kind = 'ours'\n")
        info = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\nRequires-Dist: absent\n"
        archive.writestr("thing-1.0.dist-info/METADATA", info)
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    pin = f"thing==1.0 \\\n    --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n"
    show = ["make", "--silent", "--eval=show:;@echo $(LOCKED)", "show"]
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "MAKE"))}
    asked = subprocess.run(show, cwd=ROOT, env=bare, capture_output=True, text=True, check=True)
    _, *options = asked.stdout.split()

    def install(lines: str, target: str, *further: str) -> "subprocess.CompletedProcess[str]":
        lock.write_text(lines)
        command = [sys.executable, *options, "--no-index", "--find-links", str(shelf)]
        assert command[1] == "scripts/install"
        command += ["--target", str(tmp_path / target), "-r", str(lock), *further]
        command += ["--log", str(tmp_path / "log")]
        env = {**bare, "PIP_CONFIG_FILE": os.devnull}
        return subprocess.run(
            command, env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )

    done = install(pin, "sound")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sound" / "thing.py").exists()
    assert "without hashes" not in done.stderr
    unnamed = install("thing==1.0\n", "unnamed")
    assert "Hashes are required in --require-hashes mode" in unnamed.stderr
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.comment = b"x"
    altered = install(pin, "altered")
    assert "DO NOT MATCH THE HASHES" in altered.stderr
    assert {done.returncode for done in (unnamed, altered)} == {1}
    assert not (tmp_path / "unnamed").exists()
    assert not (tmp_path / "altered").exists()
    # What it says: how far it is, and where it fails pip's errors and where the rest is.
    assert re.fullmatch(r"  some\.lock: 1 package, \d+ s\n", done.stdout)
    assert done.stderr == ""
    assert (
        f"some.lock was not installed; all that pip said is in {tmp_path / 'log'}\n"
        in altered.stderr
    )
    assert "WARNING" not in altered.stderr
    assert "Successfully installed thing-1.0" in (tmp_path / "log").read_text()
    # An index may lack another build of what it has; anything else is a failure there too.
    lacking = install(pin.replace("thing", "other"), "lacking", "--if-found")
    assert (lacking.returncode, lacking.stderr) == (0, "")
    assert install(pin, "altered", "--if-found").returncode == 1
