"""MLflow's tables, read with its client and without: the same answers, whatever their state."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flows.home.environment import Home, make_home
from flows.registry.client_records import ClientRecords
from flows.registry.connection import connect
from flows.registry.embedded_records import SCHEMA, EmbeddedRecords
from flows.registry.records import Records, Store, records_of
from lmcore.errors import IntegrityError

NAMES = ("letters", "Letters", "base-small", "speeches.2")
ALIASES = ("champion", "previous", "challenger", "by-hand")
VALUES = ("", "0", "é\u2028 ' \" %", "x" * 4000)


def register(client: MlflowClient, name: str, number: int, text: str) -> None:
    client.create_registered_model(name, tags={"kind": "base"} if number % 2 else {})


def add_version(client: MlflowClient, name: str, number: int, text: str) -> None:
    tags = {"outcome": text, "n": str(number)}
    client.create_model_version(name, f"models:/m-{number}", run_id=text[:9] or None, tags=tags)


def remove_version(client: MlflowClient, name: str, number: int, text: str) -> None:
    client.delete_model_version(name, str(number))


def set_alias(client: MlflowClient, name: str, number: int, text: str) -> None:
    alias = ALIASES[number % 4]
    client.get_model_version(name, str(number))
    client.set_registered_model_alias(name, alias, str(number))


def drop_alias(client: MlflowClient, name: str, number: int, text: str) -> None:
    client.delete_registered_model_alias(name, ALIASES[number % 4])


def tag(client: MlflowClient, name: str, number: int, text: str) -> None:
    client.set_registered_model_tag(name, f"key {number}", text)
    client.set_model_version_tag(name, str(number), f"key {number}", text * 2)


def untag(client: MlflowClient, name: str, number: int, text: str) -> None:
    client.delete_registered_model_tag(name, f"key {number}")
    client.delete_model_version_tag(name, str(number), f"key {number}")


def remove_model(client: MlflowClient, name: str, number: int, text: str) -> None:
    if number == 3:
        client.delete_registered_model(name)


def run(client: MlflowClient, name: str, number: int, text: str) -> None:
    known = client.get_experiment_by_name(name)
    experiment = known.experiment_id if known else client.create_experiment(name)
    started = 1_700_000_000_000 + number  # several began in one millisecond
    made = client.create_run(experiment, start_time=started, tags={"key": text}, run_name=text[:99])
    client.log_metric(made.info.run_id, "loss", 1.0)
    if number % 3:
        client.set_terminated(made.info.run_id, ("FINISHED", "FAILED", "KILLED")[number % 3])
    if number == 4:
        client.delete_run(made.info.run_id)


def store(client: MlflowClient, name: str, number: int, text: str) -> None:
    known = client.get_experiment_by_name(name)
    experiment = known.experiment_id if known else client.create_experiment(name)
    made = client.create_logged_model(experiment, name="model")
    if number == 2:
        client.delete_logged_model(made.model_id)


def hide(client: MlflowClient, name: str, number: int, text: str) -> None:
    known = client.get_experiment_by_name(name)
    if known is not None and known.lifecycle_stage == "active" and number == 1:
        client.delete_experiment(known.experiment_id)


ACTIONS = (
    *(register, add_version, add_version, remove_version, set_alias, drop_alias, tag, untag),
    *(remove_model, run, run, store, hide),
)
BEGINNING = (register, add_version, run, add_version, store, tag, set_alias)


def everything(records: Records) -> dict[str, Any]:
    models = records.models()
    known = [model.name for model in models]
    stored = {name: records.stored(name) for name in NAMES}
    found: dict[str, Any] = {
        "models": models,
        "by name": [records.model(name) for name in (*NAMES, "nobody")],
        "versions": records.versions(),
        "versions by name": [records.versions(name) for name in known],
        "version": [records.version(name, n) for name in (*NAMES, "nobody") for n in range(6)],
        "latest": [records.latest(name) for name in (*NAMES, "nobody")],
        "sources": records.sources(),
        "stored": stored,
        "stored of all": records.stored(),
        "locations": [records.location(m.model_id) for each in stored.values() for m in each],
        "nowhere": records.location("m-nobody"),
        "nobody": records.runs("nobody"),
    }
    for name in NAMES:
        # The order of runs that began in one millisecond is nobody's promise.
        for kind, runs in (
            ("all", records.runs(name)),
            ("finished", records.runs(name, finished=True)),
            ("newest", records.runs(name, newest=1000)),
            ("anybody's", records.runs()),
        ):
            times = [run.start_time for run in runs]
            assert times == sorted(times, reverse=kind == "newest")
            found[f"{kind} runs of {name}"] = sorted(runs, key=lambda run: run.run_id)
        assert len(records.runs(name, newest=2)) <= 2
    return found


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ACTIONS),
            st.sampled_from(NAMES),
            st.integers(0, 5),
            st.sampled_from(VALUES),
        ),
        min_size=4,
        max_size=25,
    )
)
@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # each example is a database: no time to make it small
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_both_say_the_same(
    home: Home, actions: list[tuple[Callable[..., None], str, int, str]]
) -> None:
    client = connect(home)
    begun = [(act, name, n, "text") for name in NAMES[:3] for n, act in enumerate(BEGINNING)]
    for action, name, number, text in [*begun, *actions]:
        try:
            action(client, name, number, text)
        except MlflowException:
            continue  # it is not there, or there already
    assert everything(EmbeddedRecords(home)) == everything(ClientRecords(client))


def test_the_tables_are_those_of_the_pinned_release(home: Home) -> None:
    with sqlite3.connect(home.mlflow_database) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(SCHEMA,)]
    assert isinstance(records_of(home), EmbeddedRecords)


def test_other_tables_are_left_to_mlflow(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(home.mlflow_database) as database:
        database.execute("UPDATE alembic_version SET version_num = 'another'")
    assert not EmbeddedRecords(home).is_known()
    with sqlite3.connect(home.mlflow_database) as database:
        database.execute("DROP TABLE alembic_version")
    assert not EmbeddedRecords(home).is_known()
    monkeypatch.setattr("flows.registry.embedded_records.SCHEMA", "of another release")
    with sqlite3.connect(home.mlflow_database) as database:
        database.execute("CREATE TABLE alembic_version (version_num)")
        database.execute("INSERT INTO alembic_version VALUES (?)", (SCHEMA,))
    assert isinstance(records_of(home), ClientRecords)


def test_a_home_without_tables_holds_nothing_and_gets_none(tmp_path: Path) -> None:
    home = make_home(tmp_path / "new")
    records = Store(home).records
    assert isinstance(records, EmbeddedRecords)
    assert records.models() == records.versions() == records.runs("any") == []
    assert records.model("any") is records.version("any", 1) is records.latest("any") is None
    assert not home.mlflow_database.exists()


def test_tables_that_are_made_meanwhile_are_read(tmp_path: Path, mlflow_template: Path) -> None:
    home = make_home(tmp_path / "new")
    store = Store(home)
    assert store.records.models() == []
    home.mlflow_database.write_bytes(mlflow_template.read_bytes())
    store.client.create_registered_model("letters")
    assert [model.name for model in store.records.models()] == ["letters"]


def test_damaged_tables_are_named(home: Home) -> None:
    records = EmbeddedRecords(home)
    home.mlflow_database.write_bytes(b"no database" * 1000)
    with pytest.raises(IntegrityError, match="not a database; give the command again"):
        records.models()


_KILLED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")  # so that pages are written before the end
database.execute("BEGIN")
for number in range(2000):
    database.execute("INSERT INTO registered_models (name) VALUES (?)", (f"{number:0200d}",))
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_half_written_is_undone(home: Home) -> None:
    connect(home).create_registered_model("letters")
    subprocess.run([sys.executable, "-c", _KILLED, str(home.mlflow_database)], check=False)
    assert Path(f"{home.mlflow_database}-journal").exists()
    assert [model.name for model in EmbeddedRecords(home).models()] == ["letters"]


LIGHT = ("status", "history", "versions --model letters", "show 1", "dashboard")


def test_commands_that_look_import_nothing_heavy(home: Home) -> None:
    client = connect(home)
    client.create_registered_model("letters")
    code = (
        "import sys; from flows.cli import answer; answer();"
        " print([name for name in ('mlflow', 'prefect', 'torch', 'pandas', 'pyarrow', 'scipy')"
        " if name in sys.modules], file=sys.stderr)"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
    for line in LIGHT:
        done = subprocess.run(
            [sys.executable, "-c", code, *line.split()],
            env={**kept, "LMCORE_HOME": str(home.root)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stderr.splitlines()[-1] == "[]", (line, done.stderr)
