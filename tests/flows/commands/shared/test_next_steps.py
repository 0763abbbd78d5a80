import pytest

from flows.commands.shared.next_steps import Step, lines, next_steps
from flows.registry.glance import GlancedModel


def model(name: str, task: str = "language_modelling", **aliases: int) -> GlancedModel:
    return GlancedModel(name=name, task=task, aliases=aliases, numbers=(1, 2))


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (None, ["status", "run"]),
        ([], ["run", "init FOLDER"]),
        ([model("a", challenger=2)], ["status", "versions", "report"]),
        ([model("a", champion=1)], ["status", 'generate --prompt "..."', "report"]),
        ([model("a", "sentiment", champion=1)], ["status", 'predict "..."', "report"]),
        (
            [model("a"), model("b", "translation", champion=1)],
            ["status", 'predict --model b "..."', "report --model b"],
        ),
    ],
)
def test_what_matters_depends_on_what_is_there(
    models: list[GlancedModel] | None, expected: list[str]
) -> None:
    steps = next_steps(models)
    assert [step.line for step in steps] == [f"lmcore {line}" for line in expected]
    assert all(step.purpose for step in steps)


def test_purposes_stand_below_one_another() -> None:
    steps = [Step(line="a", purpose="do this"), Step(line="abc", purpose="or that")]
    assert lines(steps) == ["a     do this", "abc   or that"]
    assert lines([]) == []
