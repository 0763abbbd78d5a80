import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.home.environment import Home
from flows.registry.connection import connect
from flows.registry.models import Registry
from flows.registry.tracking import open_run
from flows.registry.versions import DESCRIPTION_CHARACTERS, Version
from lmcore.errors import IntegrityError, NotFoundError, UserError
from lmcore.version_folder import VersionFolder

Register = Callable[..., Version]
Assemble = Callable[..., VersionFolder]
Spoil = Callable[[Path], None]


def test_a_version_is_registered_with_what_it_is(registry: Registry, register: Register) -> None:
    version = register(metrics={"val_bits_per_byte": {"value": 1.5}}, verdict="all gates PASS")
    assert (version.number, version.outcome, version.passed) == (1, "registered", True)
    assert version.aliases == ("challenger",)
    assert version.metrics == {"val_bits_per_byte": {"value": 1.5}}
    assert version.flow_run_id == "flow-1"
    folder = registry.open(version)
    assert folder.weights_sha256 == version.weights_sha256
    assert folder.lineage()["data"] == "d" * 64
    assert registry.models() == ["speeches"]
    assert registry.versions("speeches") == [version]
    answer = json.loads(json.dumps(version.to_json()))
    assert {"version", "outcome", "aliases", "metrics", "created"} <= set(answer)


def test_people_find_words_beside_the_tags(registry: Registry, register: Register) -> None:
    register(description="passed: all gates\n" + "x" * 6_000, task="sentiment")
    client = connect(registry.home)
    said = client.get_model_version("speeches", "1").description
    assert said.startswith("passed: all gates\n")
    assert len(said) == DESCRIPTION_CHARACTERS
    assert "Versions for sentiment" in client.get_registered_model("speeches").description


def test_the_same_run_registers_once(
    registry: Registry, register: Register, assemble_in: Assemble, tmp_path: Path
) -> None:
    first = register(run_key="a")
    again = assemble_in(tmp_path, "again")  # its manifest has another time
    assert register(again, run_key="a") == first
    assert register(again, run_key="a", passed=False, verdict="champion FAIL") != first
    second = register(run_key="b")
    assert [version.number for version in registry.versions("speeches")] == [1, 2, 3]
    assert registry.find_by_run_key("speeches", "b") == second
    assert registry.find_by_run_key("speeches", "c") is None


def test_a_request_that_arrived_twice_leaves_one_version(
    registry: Registry, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = type(connect(registry.home))
    create = client.create_model_version

    def twice(*args: object, **kwargs: object) -> object:
        create(*args, **kwargs)  # the server ends before it answers, and the client asks again
        return create(*args, **kwargs)

    monkeypatch.setattr(client, "create_model_version", twice)
    version = register(run_key="a")
    assert version.number == 1
    assert [v.number for v in registry.versions("speeches")] == [1]
    assert registry.aliases("speeches") == {"challenger": 1}
    monkeypatch.undo()
    assert register(run_key="a") == version


def test_a_rejected_candidate_becomes_no_challenger(registry: Registry, register: Register) -> None:
    version = register(passed=False, verdict="competence FAIL")
    assert (version.outcome, version.aliases, version.passed) == ("rejected", (), False)


@pytest.mark.parametrize("file", ["model/model.safetensors", "evaluation/gates.json"])
def test_what_is_damaged_before_is_not_registered(
    registry: Registry, register: Register, version_folder: VersionFolder, spoil: Spoil, file: str
) -> None:
    spoil(version_folder.path / file)
    with pytest.raises(IntegrityError, match=file):
        register()
    assert registry.versions("speeches") == []
    assert registry.aliases("speeches") == {}


def test_versions_are_found_by_number_and_alias(registry: Registry, register: Register) -> None:
    register(run_key="a")
    register(run_key="b")
    registry.set_alias("speeches", "champion", 1)
    for which in (1, "1", "v1", "champion"):
        assert registry.version("speeches", which).number == 1
    with pytest.raises(NotFoundError, match=r"no alias 'previous' .it has: challenger, champion"):
        registry.version("speeches", "previous")
    with pytest.raises(NotFoundError, match="has no version 9"):
        registry.version("speeches", 9)
    with pytest.raises(NotFoundError, match="model 'other' does not exist"):
        registry.version("other", 1)
    registry.set_alias("speeches", "champion", None)
    with pytest.raises(NotFoundError, match=r"no version of it is in use; .* such as 2,"):
        registry.version("speeches", "champion")
    assert registry.aliases("speeches") == {"challenger": 2}


def test_a_model_is_chosen_where_there_is_one(registry: Registry, register: Register) -> None:
    with pytest.raises(NotFoundError, match="no model is registered"):
        registry.choose_model(None)
    register()
    assert registry.choose_model(None) == "speeches"
    with pytest.raises(NotFoundError, match="model 'x' does not exist; registered are speeches"):
        registry.choose_model("x")
    register(name="tweets")
    with pytest.raises(UserError, match="several models: speeches, tweets"):
        registry.choose_model(None)


def test_the_run_of_a_version_is_found_from_it(
    home: Home, registry: Registry, register: Register
) -> None:
    run = open_run(home, model="speeches", run_key="a", name="n")
    version = register(run_id=run.run_id)
    assert version.run_id == run.run_id
