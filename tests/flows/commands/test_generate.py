"""`lmcore generate`: options, several prompts, and text that appears while it is drawn."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flows.commands.generate import continue_texts
from flows.commands.shared.command import Answer
from flows.commands.shared.text import clean
from flows.home import environment
from flows.home.environment import Home, make_home
from flows.registry.models import Registry
from lmcore.errors import ConfigError, UserError
from lmcore.version_assembly import VersionParts, assemble_version


@pytest.fixture(scope="module")
def letters_home(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Path,
    mlflow_template: Path,
    register_in: Callable[..., Any],
) -> Home:
    """A home with a model that, read greedily, writes letters and never ends a document."""
    root = tmp_path_factory.mktemp("letters")
    home = make_home(root / "home")
    shutil.copy(mlflow_template, home.mlflow_database)
    best = root / "best"
    shutil.copytree(tiny_model / "best", best)
    weights = load_file(best / "model.safetensors")
    rng = torch.Generator().manual_seed(0)
    head = torch.zeros_like(weights["head.weight"])
    head[ord("a") : ord("z") + 1] = torch.randn(26, head.shape[1], generator=rng)
    save_file({**weights, "head.weight": head}, best / "model.safetensors")
    document = {"id": "a" * 64, "name": "a.txt", "source": 0, "license": "CC0-1.0"}
    document |= {"origin": "here", "num_bytes": 4, "split": "train", "cluster": "a" * 64}
    folder = assemble_version(
        root / "version",
        VersionParts(
            best=best,
            tokenizer=tiny_model / "tokenizer",
            evaluation=tiny_model / "evaluation",
            documents=[{**document, "text": "text", "date": None, "anchor": False}],
            sources=[{"license": "CC0-1.0"}],
            config="name: letters\n",
            report="<!doctype html>",
            card="# letters",
            lineage={"data": "d" * 64, "plan": {"steps": 3}},
            summary={"model": "letters"},
        ),
    )
    register_in(Registry(home), folder, name="letters")
    return home


@pytest.fixture
def answer(letters_home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    monkeypatch.setattr(environment, "_prepared", letters_home)

    def call(*prompts: str, **options: Any) -> Answer:
        settings = {"temperature": 0.0, "max_tokens": 30, "version": "1", **options}
        return continue_texts(prompts, **settings)

    return call


Generate = Callable[..., dict[str, Any]]


@pytest.fixture
def generate(answer: Callable[..., Answer]) -> Generate:
    return lambda *prompts, **options: dict(answer(*prompts, **options).values)


def test_one_prompt_has_the_answer_of_the_contract(generate: Generate) -> None:
    answer = generate("Fellow", max_tokens=12, seed=4)
    assert json.loads(json.dumps(answer)) == answer
    text = answer.pop("text")
    assert answer == {
        "model": "letters",
        "version": 1,
        "prompt": "Fellow",
        "tokens": 12,
        "finish": "length",
        "seed": 4,
    }
    assert len(text) == 12
    assert text.isalpha()


def test_several_prompts_are_each_as_if_alone(generate: Generate) -> None:
    prompts = [f"number {i}" for i in range(40)] + ["", "number 0"]
    options = {"temperature": 1.0, "top_k": 5, "repetition_penalty": 1.3}
    together = generate(*prompts, seed=7, **options)
    assert set(together) == {"model", "version", "seed", "generations"}
    assert [g["prompt"] for g in together["generations"]] == prompts
    for place in (0, 1, 33, 40, 41):
        alone = generate(prompts[place], seed=7 + place, **options)
        kept = {key: alone[key] for key in ("prompt", "text", "tokens", "finish")}
        assert together["generations"][place] == kept


def test_a_file_of_prompts_keeps_their_places(generate: Generate, letters_home: Home) -> None:
    file = letters_home.root / "prompts.txt"
    file.write_bytes("\ufeffone\r\n\ntwo\u2028three\n".encode())
    options: dict[str, Any] = {"max_tokens": 2, "version": "1", "seed": 0}
    answer = continue_texts(file, **options).values
    assert [g["prompt"] for g in answer["generations"]] == ["one", "", "two\u2028three"]
    file.write_text("alone")
    assert len(continue_texts(file, **options).values["generations"]) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", -1),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("repetition_penalty", 0.0),
        ("stop", ("",)),
        ("seed", -1),
    ],
)
def test_wrong_values_are_named_before_anything_is_loaded(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        continue_texts(["x"], model="no such model", **{field: value})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("place", ["prompt", "stop"])
def test_half_a_character_is_named(place: str) -> None:
    prompt, stop = ("\udc80", ()) if place == "prompt" else ("a", ("\udc80",))
    with pytest.raises(UserError, match=r"U\+DC80"):
        continue_texts([prompt], stop=stop)


def test_a_stop_string_ends_the_text_before_it(generate: Generate) -> None:
    whole = generate("Fellow")["text"]
    stop = whole[10:13]
    answer = generate("Fellow", stop=("\n", stop))
    assert answer["text"] == whole[: whole.index(stop)]
    assert answer["finish"] == "stop"


def test_live_text_is_the_same_text(
    generate: Generate, answer: Callable[..., Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = generate("Fellow\x1b", temperature=1.0, seed=3)["text"]
    live = answer("Fellow\x1b", temperature=1.0, seed=3, live=True)
    assert "text" not in live.values
    live.text(live.values)
    assert capsys.readouterr().out == f"Fellow{clean(whole)}\n"


def test_prompts_come_from_standard_input(letters_home: Home, shell_of: Any) -> None:
    shell = shell_of(letters_home)
    options = ("--version", "1", "--temperature", "0", "--max-tokens", "5", "--seed", "1")
    expected = shell.answer("generate", "--prompt", "Fellow", *options)
    for words in ((), ("--prompt", "-")):
        assert shell.answer("generate", *words, *options, given=b"Fellow\n") == expected
    given, words = b"Fellow\nDear\n", ("--prompts-file", "-")
    found = shell.answer("generate", *words, *options, given=given)["generations"]
    assert [one["prompt"] for one in found] == ["Fellow", "Dear"]
    two = shell.run("generate", "--prompt", "-", "--prompt", "-", *options)
    assert (two.exit_code, two.stdout) == (2, "")
    assert str(shell.refusal("generate")).startswith("Missing option '--prompt': give a text,")


def test_several_texts_are_shown_under_numbers(
    answer: Callable[..., Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    both = answer("one", "two")
    both.text(both.values)
    first, second = (g["text"] for g in both.values["generations"])
    assert capsys.readouterr().out == f"[1 of 2]\none{first}\n[2 of 2]\ntwo{second}\n"


def read_to_end(controller: int) -> bytes:
    shown = b""
    with contextlib.suppress(OSError):  # a terminal's way to say end of file
        while piece := os.read(controller, 1 << 16):
            shown += piece
    return shown


def test_text_is_shown_while_it_is_drawn_and_ctrl_c_ends_it(
    generate: Generate, letters_home: Home
) -> None:
    """Of a continuation that would take days, a terminal shows the beginning at once."""
    expected = "Fellow" + generate("Fellow", max_tokens=400)["text"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
    environment |= {"LMCORE_HOME": str(letters_home.root), "OMP_NUM_THREADS": "1"}
    options = ("--prompt", "Fellow", "--temperature", "0", "--max-tokens", "1000000000")
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "generate", "--version", "1", *options],
        cwd=Path(__file__).parents[3],
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(terminal)
    shown = b""
    while len(shown) < 300:
        shown += os.read(controller, 1024)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    shown += read_to_end(controller)
    os.close(controller)
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    # On a busy machine a line says meanwhile how long it has been.
    told = [line for line in errors.splitlines() if line and "so far" not in line]
    assert told == ["lmcore: stopped by the user"]
    text = shown.decode()
    assert text.endswith("\r\n")
    assert text[:300] == expected[:300]
    assert text.rstrip().isalpha()


def test_a_prompt_is_read_as_the_training_text_was_and_shown_as_given(generate: Generate) -> None:
    given, masked = "Write to ann@example.org", "Write to <EMAIL>"
    answers = [generate(text, max_tokens=8) for text in (given, masked)]
    assert answers[0]["text"] == answers[1]["text"]
    assert answers[0]["prompt"] == given
    several = generate(given, masked, max_tokens=8)["generations"]
    assert [one["prompt"] for one in several] == [given, masked]
    assert several[0]["text"] == several[1]["text"] == answers[0]["text"]
