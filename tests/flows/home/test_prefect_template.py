"""A home begins with the database that its server would make, or with none."""

import contextlib
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from lmcore_shell import Shell

from flows.home import prefect_template
from flows.home.environment import make_home
from flows.home.prefect_database import being_started
from flows.home.prefect_template import copy_to, template
from lmcore.errors import StorageError


def tables(path: Path) -> list[tuple[str, list[str]]]:
    """Names, and what each is made of, in an order: constraints come as a set does."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        schema = database.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
        found = [(name, sorted(re.split(r"[\s,]*\n\s*", sql))) for name, sql in schema]
        (revision,) = database.execute("SELECT version_num FROM alembic_version")
        return sorted([*found, ("revision", list(revision))])


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the template is looked for; it is not there."""
    path = tmp_path / "share" / "template.sqlite"
    path.parent.mkdir()
    monkeypatch.setattr(prefect_template, "template", lambda: path)
    return path


SERVED = """
import sys
from pathlib import Path
from flows.home import prefect_template
from flows.home.environment import prepare
from flows.servers.prefect_server import PrefectServer
if sys.argv[1:]:
    prefect_template.template = lambda: Path(sys.argv[1])
home = prepare()
with PrefectServer(home) as server:
    before = home.prefect_database.stat().st_size if home.prefect_database.exists() else 0
    server.wait()
print(before)
"""


def served(folder: Path, *arguments: str) -> tuple[int, Path]:
    """Bytes of a new home's database before its server was ready, and that database."""
    shell = Shell(folder)
    command = [sys.executable, "-c", SERVED, *arguments]
    done = subprocess.run(
        command, env=shell.environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout), make_home(shell.home).prefect_database


@pytest.mark.slow
@pytest.mark.integration
def test_a_server_goes_on_from_the_copy_and_has_what_it_makes_itself(tmp_path: Path) -> None:
    size, database = served(tmp_path / "with")
    assert size == template().stat().st_size
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    without, made = served(tmp_path / "without", str(tmp_path / "nowhere"))
    assert without < size
    assert tables(database) == tables(template()) == tables(made)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, None])
def test_a_damaged_template_is_not_used(
    tmp_path: Path, elsewhere: Path, content: bytes | None
) -> None:
    if content is None:  # a page in the middle
        sound = bytearray(template().read_bytes())
        sound[len(sound) // 2 : len(sound) // 2 + 4096] = b"\xff" * 4096
        content = bytes(sound)
    elsewhere.write_bytes(content)
    copy_to(tmp_path / "prefect.db")
    assert not (tmp_path / "prefect.db").exists() or not content


def test_a_database_that_is_there_stays(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    home.prefect_database.write_bytes(b"mine")
    with being_started(home):
        assert home.prefect_database.read_bytes() == b"mine"


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home(tmp_path / "home")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(StorageError, match=r"prefect\.db"), being_started(home):
        pass
