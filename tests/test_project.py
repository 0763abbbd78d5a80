"""The project as a whole: layout, direction of imports, and a README that tells the truth."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_the_mlflow_folder_does_not_shadow_mlflow() -> None:
    assert not list((ROOT / "mlflow").rglob("*.py"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import mlflow; print(mlflow.__version__)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "3.17.2"


@pytest.mark.parametrize("path", sorted((ROOT / "lmcore").rglob("*.py")), ids=str)
def test_lmcore_knows_neither_prefect_nor_mlflow(path: Path) -> None:
    assert not imported(path) & {"prefect", "mlflow", "flows"}


def test_only_the_registry_knows_mlflow() -> None:
    knowing = {p.parent for p in (ROOT / "flows").rglob("*.py") if "mlflow" in imported(p)}
    assert knowing == {ROOT / "flows" / "registry"}


def test_no_module_hides_a_standard_one() -> None:
    for package in ("flows", "lmcore"):
        for path in (ROOT / package).rglob("*.py"):
            # Run as a script, a module's folder comes first on the path.
            assert path.stem not in sys.stdlib_module_names - {"__init__"} or package == "lmcore"


# Modules without a test file of their name, and why; a name ending in / stands for a folder.
TESTED_ELSEWHERE = {
    "lmcore/controls/language_models/": "controls are tests; lmcore/controls/test_catalogue.py",
    "lmcore/controls/tasks/": "controls are tests; lmcore/controls/test_catalogue.py",
    "lmcore/data/ingest/part_task.py": "test_part_reading.py beside it makes tasks and opens them",
    "lmcore/data/sources/apart/job.py": "a value; test_worker.py beside it reads files by it",
    "lmcore/data/sources/apart/limits.py": "values; test_process.py beside it meets each of them",
    "lmcore/data/tokens/token_stream.py": "test_shards.py beside it writes streams and reads them",
    "lmcore/model/exporting.py": "lmcore/model/recurrent/test_exporting.py and pretrained's use it",
    "lmcore/training/attempt.py": "a value; lmcore/training/test_train.py and test_loop.py use it",
    "lmcore/engine/ask.py": "words; lmcore/engine/test_engine.py says them",
    "lmcore/engine/prompts.py": "of an engine; lmcore/engine/test_engine.py asks it",
    "flows/notices/signs_of_life.py": "flows/servers/test_stranded.py asks a real server",
    "flows/commands/serve.py": "flows/serving/test_serve.py starts it",
    "flows/serving/routes.py": "flows/serving/test_app.py asks each of them",
    "flows/serving/prompts.py": "flows/serving/test_completions.py sends them",
    "flows/serving/texts.py": "flows/serving/test_completions.py and test_chat.py ask it",
    "flows/serving/forms.py": "flows/serving/test_completions.py and test_chat.py read them",
    "flows/serving/choice.py": "a value; flows/serving/test_completions.py draws them",
    "flows/serving/wiring.py": "every test of flows/serving runs it",
    "flows/serving/limits.py": "values; flows/serving/test_app.py and test_access.py reach them",
    "flows/serving/loaded.py": "flows/serving/test_desk.py loads versions",
    "flows/serving/request_count.py": "flows/serving/test_app.py counts requests",
    "flows/serving/schema.py": "flows/serving/test_app.py reads the description",
    "flows/failures.py": "an address of the last release; flows/test_old_home.py resolves it",
    "flows/registry/client_records.py": "flows/registry/test_records.py asks both",
    "flows/registry/embedded_records.py": "flows/registry/test_records.py asks both",
    "flows/retention/left_over.py": "flows/retention/test_pruning.py prunes them",
    "flows/registry/deletion.py": "flows/retention/test_pruning.py deletes by it",
    "flows/servers/services.py": "flows/servers/test_up.py starts all of them",
    "flows/steps/base_model.py": "flows/steps/test_begin_run.py names one",
    "lmcore/evaluation/questions.py": "test_evidence.py and test_kept_scores.py beside it ask them",
    "lmcore/evaluation/sides.py": "test_evidence.py beside it scores both",
    "lmcore/evaluation/judging.py": "lmcore/evaluation/test_evaluate.py has all gates asked",
    "flows/evaluate_shard.py": "flows/test_shared_evaluation.py has workers run it",
    "flows/steps/run.py": "a value; flows/steps/test_begin_run.py builds it",
}
# Test files that are about several modules together.
ABOUT_SEVERAL = {
    "tests/benchmarks/test_arithmetic.py": "the benchmarks' own sums",
    "tests/benchmarks/test_scoring.py": "the benchmarks' own scoring",
    "tests/flows/commands/test_any_command.py": "whatever is typed",
    "tests/lmcore/data/sources/test_any_file.py": "whatever a file holds",
    "tests/lmcore/test_any_config.py": "whatever a configuration says",
    "tests/flows/serving/test_chat.py": "a conversation, from the model's template to the answer",
    "tests/flows/serving/test_clients.py": "clients that people use",
    "tests/flows/serving/test_hostile.py": "whatever is sent",
    "tests/flows/serving/test_proxy.py": "the proxy that the documents show",
    "tests/flows/serving/test_tools.py": "tools of others",
    "tests/flows/servers/test_stranded.py": "runs whose runner was killed, on a real server",
    "tests/flows/test_examples.py": "what README and docs tell to type",
    "tests/flows/test_old_home.py": "a home of the last release",
    "tests/flows/test_ownership.py": "a story over many commands",
    "tests/flows/test_pretrained_ownership.py": "a story over many commands",
    "tests/flows/test_pretrained.py": "a model that exists, from init to an answer",
    "tests/flows/test_server_tier.py": "PostgreSQL, S3, MLflow, Prefect and a worker",
    "tests/flows/test_notebooks.py": "the notebooks of examples",
    "tests/flows/test_tutorial.py": "the tutorial, walked from its own text",
    "tests/flows/test_two_workers.py": "machines that take turns on a model",
    "tests/flows/test_shared_evaluation.py": "machines that share an evaluation",
    "tests/flows/test_tasks.py": "a task from its base model to its answers",
    "tests/lmcore/test_example_configs.py": "configurations to copy",
    "tests/lmcore/data/test_scale.py": "real corpora through all of ingest",
    "tests/lmcore/evaluation/gates/test_any_metric.py": "what every gate promises of any metric",
    "tests/lmcore/evaluation/test_pretrained.py": "a model that began with one that exists, judged",
    "tests/lmcore/model/test_every_kind.py": "what every kind of language model promises",
    "tests/lmcore/tasks/test_pretrained_tasks.py": "tasks that start from a model that exists",
    "tests/lmcore/reporting/dashboard/test_browser.py": "the page in a browser",
    "tests/lmcore/reporting/version/test_browser.py": "the page in a browser",
    "tests/lmcore/tasks/judging/test_any_language.py": "gates of writers in eight languages",
    "tests/lmcore/training/test_gpu.py": "training on a GPU",
    "tests/lmcore/training/test_hosts.py": "two hosts, from the launcher to the same bits",
    "tests/lmcore/training/test_kill.py": "kill -9 in a training",
    "tests/lmcore/training/test_pretrained.py": "training that goes on from a model that exists",
    "tests/test_compose.py": "docker-compose.yml",
    "tests/test_hosts.py": "what deploy/hosts starts on each host",
    "tests/test_locks.py": "the locks, and what is installed",
    "tests/test_project.py": "the project as a whole",
    "tests/test_site.py": "the documentation as a site",
}


def test_tests_mirror_the_tree() -> None:
    modules = {
        str(path.relative_to(ROOT)): "tests/"
        + str(path.parent.relative_to(ROOT) / f"test_{path.stem.lstrip('_')}.py")
        for top in ("lmcore", "flows")
        for path in (ROOT / top).rglob("*.py")
        if path.name != "__init__.py"
    }
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    without = {module for module, test in modules.items() if test not in tests}
    named = {
        module
        for module in without
        for name in TESTED_ELSEWHERE
        if module == name or (name.endswith("/") and module.startswith(name))
    }
    assert without == named
    assert all(any(module.startswith(name) for module in without) for name in TESTED_ELSEWHERE)
    assert tests - set(modules.values()) == set(ABOUT_SEVERAL)


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_every_package_and_its_data_are_installed(tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "setup.py"),
            *("-q", "build_py", "--build-lib", str(tmp_path)),
            *("egg_info", "--egg-base", str(tmp_path)),
        ],
        cwd=ROOT,
        check=True,
    )
    kinds = ("*.py", "*.j2", "*.in", "*.json", "*.yaml", "py.typed")
    wanted = {
        Path(place) / path.relative_to(ROOT)
        for place, top in (("", "lmcore"), ("", "flows"), ("lmcore", "configs"))
        for kind in kinds
        for path in (ROOT / top).rglob(kind)
    }
    wanted |= {
        Path("flows", "servers", "job_templates", path.name)
        for path in (ROOT / "deploy" / "pools").glob("*.json")
    }
    assert {path for path in wanted if not (tmp_path / path).exists()} == set()
    # Whatever else lies at the top of an environment would stand in somebody's way.
    tops = {path.name for path in tmp_path.iterdir() if path.suffix != ".egg-info"}
    assert tops == {"lmcore", "flows"}


@pytest.mark.slow
def test_both_servers_import() -> None:
    script = "import prefect.server.api.server, mlflow.server"
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT / "docs", check=True)


def readme_commands() -> list[str]:
    blocks = re.findall(r"```(?:console|sh|bash)\n(.*?)```", README.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ").strip() for line in lines if line.startswith("$ ")]


@pytest.mark.parametrize("command", [c for c in readme_commands() if "lmcore " in c])
def test_every_command_of_the_readme_parses(command: str) -> None:
    import shlex

    from flows.cli import cli

    words = shlex.split(command.partition("#")[0])
    words = words[next(i for i, w in enumerate(words) if w.endswith("lmcore")) + 1 :]
    name, arguments = words[0], words[1:]
    found = cli.commands[name]
    assert isinstance(found, click.Command)
    if "--help" not in arguments:
        found.make_context(name, list(arguments))


def test_the_newest_release_of_the_changelog_is_this_version() -> None:
    from lmcore import __version__

    changelog = (ROOT / "CHANGELOG.md").read_text()
    releases = re.findall(r"(?m)^## (\S+) - (\d{4}-\d{2}-\d{2})$", changelog)
    assert releases[0][0] == __version__
    assert [day for _, day in releases] == sorted((day for _, day in releases), reverse=True)
    compose = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"image: lmcore-worker:(\S+)", compose)) == {__version__}


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_no_database_and_no_weights_are_part_of_the_tree() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    kinds = (".db", ".sqlite", ".safetensors", ".pt", ".pkl", ".parquet")
    assert [name for name in listed if name.endswith(kinds)] == []


def test_a_commit_is_asked_what_make_check_asks() -> None:
    makefile = (ROOT / "Makefile").read_text()
    checks = re.search(r"(?m)^CHECKS := (.*)$", makefile)
    assert checks is not None
    assert set(checks[1].split()) <= set(re.findall(r"(?m)^([\w-]+):", makefile))
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (local,) = settings["repos"]
    assert local["repo"] == "local"
    entries = [hook["entry"].split() for hook in local["hooks"]]
    assert all(hook["language"] == "system" for hook in local["hooks"])
    assert {entry[-1] for entry in entries} == set(checks[1].split()) - {"docs"}
    assert all(entry[:-1] == ["make", "--no-print-directory"] for entry in entries)


def test_the_readme_names_what_exists() -> None:
    text = README.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {c.split()[1] for c in readme_commands() if c.startswith("make ")} <= targets
    tree = re.search(r"<!-- tree -->\n+```\n(.*?)```", text, re.DOTALL)
    assert tree is not None
    for line in tree[1].splitlines():
        assert (ROOT / line.split()[0]).exists(), line
    for link in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (ROOT / link).exists(), link


def test_every_command_is_in_the_documents() -> None:
    from flows.cli import cli

    text = (ROOT / "docs" / "commands.md").read_text()
    assert [name for name in cli.commands if f"lmcore {name}" not in text] == []


# Variables that one process of ours tells another.
BETWEEN_PROCESSES = {
    "LMCORE_ARTIFACT_ROOT",
    "LMCORE_MLFLOW_PAGES",
    "LMCORE_PREFECT_PAGES",
    "LMCORE_SERVER_APP",
    "LMCORE_SERVER_LOGIN",
    "LMCORE_SERVER_LOGIN_PATHS",
    "LMCORE_SERVER_NAMES",
    "LMCORE_SERVER_ORIGINS",
    "LMCORE_SERVE_KEY",
    "LMCORE_TRAINING_AGENT",
    "LMCORE_TRAINING_INTERFACE",
    "LMCORE_TRAINING_STORE",
}


def test_every_variable_of_the_environment_is_documented() -> None:
    read: set[str] = set()
    for path in (p for top in ("flows", "lmcore") for p in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(value, str) and re.fullmatch(r"LMCORE_[A-Z_]+", value):
                read.add(value)
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(LMCORE_[A-Z_]+)` \|", page, re.MULTILINE))
    assert read == told | BETWEEN_PROCESSES
    assert not told & BETWEEN_PROCESSES
