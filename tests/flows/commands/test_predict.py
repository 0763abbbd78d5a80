"""`lmcore predict` with a classifier whose network is silent: counted words say it all."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.registry.models import Registry
from lmcore.controls.bench import make_document
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.errors import UserError
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.tasks.labels import find_labels
from lmcore.tasks.learning.classifier import TextClassifier, save_classifier
from lmcore.tasks.learning.examples import encode
from lmcore.tasks.learning.objectives import count_words
from lmcore.tasks.record import TaskRecord
from lmcore.version_assembly import VersionParts, assemble_version
from lmcore.version_folder import VersionFolder

ROWS = [(f"{'fine' if n % 2 else 'dull'} number {n}", "ny"[n % 2]) for n in range(60)]


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> VersionFolder:
    root = tmp_path_factory.mktemp("classifier")
    best, tokenizer = root / "best", ByteTokenizer()
    best.mkdir()
    labels = find_labels([label for _, label in ROWS])
    documents = [make_document(text, target=label) for text, label in ROWS]
    counts = count_words(
        encode(documents, tokenizer, max_source=64, max_target=None),
        labels.index(label for _, label in ROWS),
        num_labels=2,
        pieces=tokenizer.pieces,
        end_id=tokenizer.end_id,
    )
    torch.manual_seed(0)
    shape = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=8)
    network = RecurrentAttentionLM(shape, tokenizer.vocab_size, tokenizer.end_id)
    model = TextClassifier(network, 2, counts)
    model.scale(network=0.0, words=1.0)
    save_classifier(model, best)
    TaskRecord(
        task="sentiment",
        labels=labels.names,
        shares=labels.shares,
        temperature=1.0,
        separator=257,
        max_source_tokens=64,
        max_target_tokens=16,
        beam_size=2,
        length_penalty=1.0,
        no_repeat_ngram_size=0,
    ).write(best)
    return assemble_version(
        root / "version",
        VersionParts(
            best=best,
            tokenizer=tiny_model / "tokenizer",
            evaluation=tiny_model / "evaluation",
            documents=[],
            sources=[],
            config="name: reviews\n",
            report="<!doctype html>",
            card="# reviews",
            lineage={},
        ),
    )


@pytest.fixture
def reviews_shell(shell: Any, classifier: VersionFolder, register_in: Callable[..., Any]) -> Any:
    """A home with a language model, and a classifier of reviews."""
    register_in(
        Registry(shell.home),
        classifier,
        name="reviews",
        run_key="reviews",
        task="sentiment",
        example="It was well worth the wait.",
        tags={"task": "sentiment"},
    )
    return shell


ASK = ("predict", "--version", "1")


def test_one_text_has_a_label_and_probabilities(reviews_shell: Any) -> None:
    answer = reviews_shell.answer(*ASK, "--model", "reviews", "fine number 3")
    assert (answer["model"], answer["version"]) == ("reviews", 1)
    (one,) = answer["predictions"]
    assert (one["input"], one["output"], one["truncated"]) == ("fine number 3", "y", False)
    assert math.fsum(one["probabilities"].values()) == pytest.approx(1)
    assert one["probabilities"]["y"] > one["probabilities"]["n"]
    (shown,) = reviews_shell.lines(*ASK, "--model", "reviews", "fine number 3")
    assert shown == f"y  ({one['probabilities']['y']:.1%})"


def test_each_line_of_a_file_keeps_its_place(reviews_shell: Any, tmp_path: Path) -> None:
    (tmp_path / "reviews.txt").write_text("fine number 3\n\ndull number 4\n")
    option = ("--file", "reviews.txt", "--model", "reviews")
    found = reviews_shell.answer(*ASK, *option)["predictions"]
    assert [one["input"] for one in found] == ["fine number 3", "", "dull number 4"]
    assert [found[0]["output"], found[2]["output"]] == ["y", "n"]
    # Of nothing, how often each label occurs is all that can be said.
    assert found[1]["probabilities"] == pytest.approx({"n": 0.5, "y": 0.5})
    assert found[0]["note"] is None
    done = reviews_shell.run(*ASK, *option)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        *("fine number 3", "", "dull number 4"),
    ]
    assert "  note: the input is empty: " in done.stderr
    assert "note" not in done.stdout


def test_the_only_model_of_a_task_need_not_be_named(reviews_shell: Any) -> None:
    assert reviews_shell.answer(*ASK, "fine number 3")["model"] == "reviews"


def test_of_several_models_of_tasks_one_must_be_named(
    reviews_shell: Any, assemble_in: Any, register_in: Any, tmp_path: Path
) -> None:
    register_in(
        Registry(reviews_shell.home),
        assemble_in(tmp_path, seed=3),
        name="more",
        tags={"task": "translation"},
    )
    refused = reviews_shell.refusal(*ASK, "fine")
    assert isinstance(refused, UserError)
    assert str(refused) == "several models: more, reviews, speeches; choose one with --model NAME."


def test_a_language_model_answers_no_task(reviews_shell: Any) -> None:
    refused = reviews_shell.refusal(*ASK, "--model", "speeches", "fine")
    assert isinstance(refused, UserError)
    assert "use it with `lmcore generate --model speeches`" in str(refused)


def test_half_a_character_is_shown_as_unknown(reviews_shell: Any) -> None:
    shown = reviews_shell.run(*ASK, "--model", "reviews", "--json", "fine \udc80").stdout
    (one,) = json.loads(shown)["predictions"]
    assert one["input"] == "fine ?"


def test_a_text_or_a_file_and_not_both(empty_shell: Any) -> None:
    done = empty_shell.run("predict", "fine", "--file", "reviews.txt")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Give a TEXT or '--file', one of them." in done.stderr
    assert str(empty_shell.refusal("predict")).startswith("Missing argument 'TEXT': give a TEXT,")


def test_standard_input_is_one_text_or_lines(reviews_shell: Any) -> None:
    asked = reviews_shell.answer
    expected = asked(*ASK, "fine number 3")
    for words in ((), ("-",), ("--file", "-")):
        assert asked(*ASK, *words, given=b"fine number 3\n") == expected
    found = asked(*ASK, "--file", "-", given=b"fine\n\ndull\n")["predictions"]
    assert [one["input"] for one in found] == ["fine", "", "dull"]


def test_a_file_that_is_not_there_is_named(empty_shell: Any) -> None:
    refused = empty_shell.refusal("predict", "--file", "reviews.txt")
    assert str(refused).startswith("reviews.txt: cannot be read (")
