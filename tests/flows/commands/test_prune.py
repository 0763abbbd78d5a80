from typing import Any

from flows.registry.models import Registry


def test_a_rehearsal_says_what_would_go_and_deletes_nothing(
    empty_shell: Any, register: Any, assemble_in: Any, tmp_path: Any
) -> None:
    for number in (1, 2, 3):
        register(assemble_in(tmp_path, f"v{number}", seed=number), run_key=f"k{number}")
    empty_shell.answer("promote", "2", "--reason", "better")
    told = empty_shell.answer("prune", "--keep", "1", "--dry-run")
    assert told["model"] is None
    assert [row["version"] for row in told["versions"]] == [1]
    shown = empty_shell.lines("prune", "--keep", "1", "--dry-run", "--model", "speeches")
    assert shown[0].split() == ["would", "be", "deleted", "number", "size"]
    assert [line.split()[0] for line in shown[1:7]] == [
        *("versions", "models", "runs", "bases", "content", "work")
    ]
    assert shown[1].split()[1] == "1"
    assert "  speeches version 1 (registered)" in shown
    assert [line.split() for line in shown[-2:]] == [
        ["speeches", "2", "champion"],
        ["speeches", "3", "the", "newest;", "challenger"],
    ]
    registry = Registry(empty_shell.home)
    assert [v.number for v in registry.versions("speeches")] == [1, 2, 3]

    done = empty_shell.answer("prune", "--keep", "1")
    assert done == {**told, "dry_run": False}
    assert [v.number for v in registry.versions("speeches")] == [2, 3]
    assert empty_shell.lines("prune", "--keep", "1")[0].split()[0] == "deleted"


def test_it_says_why_what_goes_was_out_of_use(
    shell: Any, register_in: Any, assemble_in: Any, tmp_path: Any
) -> None:
    shell.answer("promote", "2", "--reason", "I like it", "--override")
    shell.answer("rollback", "--reason", "it swore")
    register_in(Registry(shell.home), assemble_in(tmp_path, "third", seed=3), run_key="third")
    told = shell.answer("prune", "--keep", "1", "--dry-run")
    assert [(row["version"], row["quarantined"]) for row in told["versions"]] == [(2, "it swore")]
    shown = shell.lines("prune", "--keep", "1", "--dry-run")
    assert "  speeches version 2 (promoted, quarantined: it swore)" in shown


def test_at_least_one_version_is_kept(shell: Any) -> None:
    done = shell.run("prune", "--keep", "0")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "0 is not in the range 1<=x<=1000000" in done.stderr
