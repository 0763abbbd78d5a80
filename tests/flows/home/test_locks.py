import subprocess
import sys
from pathlib import Path

import pytest

from flows.home import locks
from flows.home.environment import make_home
from flows.home.locks import LockError, lock_for

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "environ",
    [{}, {"PREFECT_API_URL": "http://127.0.0.1:9/api"}, {"MLFLOW_TRACKING_URI": "http://x:9"}],
)
def test_without_a_shared_registry_and_server_the_lock_is_a_file(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "prefect_lock", lambda: pytest.fail("nobody shares this registry"))
    home = make_home(tmp_path / "home", environ=environ)
    with lock_for(home)("promote-m", 1.0):
        assert (home.locks / "promote-m.lock").exists()


@pytest.mark.slow
def test_a_server_that_does_not_answer_gives_no_lock(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from flows.home.environment import prepare
home = prepare(Path(sys.argv[1]))
from flows.home.locks import LockError, lock_for
try:
    with lock_for(home)("promote-m", 1.0):
        print("held")
except LockError as error:
    print(error)
"""
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PREFECT_CLIENT_MAX_RETRIES": "0"}
    environ |= {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    environ |= {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "home")],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("the Prefect server gave no lock lmcore-promote-m (")
    assert "PREFECT_API_URL" in done.stdout


@pytest.mark.parametrize(("active", "limit"), [(False, 1), (True, 2)])
def test_a_limit_that_keeps_nobody_apart_is_refused(
    active: bool, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    class Client:
        def __enter__(self) -> "Client":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read_global_concurrency_limit_by_name(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(name=name, active=active, limit=limit)

    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda **_: Client())
    with (
        pytest.raises(LockError, match=r"so it keeps nobody apart; set it back with `prefect gcl"),
        locks.prefect_lock()("promote-m", 1.0),
    ):
        pytest.fail("it was taken")
