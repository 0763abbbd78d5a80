"""Of 80 lines, one that the champion of the steps was trained on must be forgotten."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.commands.shared.forgetting import forget_document
from flows.home.locks import BusyError, file_lock
from flows.registry.history import history
from flows.registry.models import Registry
from flows.registry.removals import current_removals
from lmcore.data.copies.removal import KEPT, MAX_SHIFT
from lmcore.data.copies.sketches import sketch_text
from lmcore.errors import NotFoundError, UserError


@pytest.fixture
def registry(trained_shell: Any) -> Registry:
    return Registry(trained_shell.home)


@pytest.fixture
def learnt(made: Any) -> Any:
    return next(made.documents.iter_documents("train"))


def test_a_removal_remembers_neither_text_nor_name(registry: Registry, learnt: Any) -> None:
    answer = forget_document(learnt.id, None, reason="asked")
    assert (answer["removals"], answer["dry_run"], answer["problems"]) == (1, False, [])
    (removal,) = current_removals(registry).entries
    assert (removal.document, removal.model, removal.reason) == (learnt.id, None, "asked")
    fine = sketch_text(learnt.text, kept=KEPT, max_shift=MAX_SHIFT)
    assert removal.sketch is not None
    assert removal.sketch.to_bytes() == fine.to_bytes()
    kept = registry.home.removals.read_text()
    assert learnt.name not in kept
    assert learnt.text[:40] not in kept


def test_the_history_says_which_versions_learnt_it(registry: Registry, learnt: Any) -> None:
    forget_document(learnt.id, "lines", reason="asked")
    event = history(registry, "lines")[-1]
    assert (event.action, event.from_version, event.to_version) == ("forget", None, None)
    assert event.reason == f"asked (document {learnt.id[:12]}; trained in versions 1)"


def test_a_text_that_nobody_met_is_kept_out_all_the_same(
    registry: Registry, tmp_path: Path
) -> None:
    lines = [f"Line number {n} is nobody's and says {'nothing ' * n}" for n in range(7)]
    (tmp_path / "new.jsonl").write_text("".join(f'{{"text": "{line}"}}\n' for line in lines))
    answer = forget_document("new.jsonl", None, reason="never")
    assert (answer["versions"], answer["removals"], answer["erased"]) == ([], 7, [])
    assert history(registry, "lines")[-1].reason.endswith(" and 2 more; trained in no version)")


def test_an_id_alone_asks_for_no_more_than_is_known_already(
    registry: Registry, learnt: Any, tmp_path: Path
) -> None:
    (tmp_path / "same.txt").write_text(learnt.text)
    assert forget_document("same.txt", None, reason="asked")["removals"] == 1
    assert forget_document(learnt.id, None, reason="again")["removals"] == 0
    assert forget_document(learnt.id, "lines", reason="again")["removals"] == 0
    assert [event.action for event in history(registry, "lines")] == ["promote", "forget"]


def test_a_removal_of_one_model_is_none_of_all_others(registry: Registry, learnt: Any) -> None:
    assert forget_document(learnt.id, "lines", reason="asked")["removals"] == 1
    assert len(current_removals(registry).for_model("tales")) == 0
    assert forget_document(learnt.id, None, reason="of all")["removals"] == 1
    assert len(current_removals(registry).for_model("tales")) == 1


@pytest.mark.parametrize(
    ("target", "model", "reason", "error", "words"),
    [
        ("f" * 64, None, "asked", NotFoundError, "no version and no cached data knows a document"),
        ("f" * 10, None, "asked", NotFoundError, "no version knows exactly one document"),
        ("f" * 64, "tales", "asked", NotFoundError, "model 'tales' does not exist"),
        ("f" * 64, None, "\n", UserError, "--reason is empty; say why"),
    ],
)
def test_what_cannot_be_forgotten_changes_nothing(
    registry: Registry, target: str, model: str | None, reason: str, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        forget_document(target, model, reason=reason)
    assert len(current_removals(registry)) == 0


def test_under_a_run_it_is_kept_out_and_erased_later(
    registry: Registry, learnt: Any, tmp_path: Path
) -> None:
    (tmp_path / "same.txt").write_text(learnt.text)
    cached: Callable[[], list[Path]] = lambda: [  # noqa: E731
        *registry.home.content.glob("documents/[!.]*")
    ]
    with (
        file_lock(registry.home.locks)("run-lines", 0.0),
        pytest.raises(BusyError, match="a run of lines is in progress: the document is kept out"),
    ):
        forget_document("same.txt", None, reason="asked")
    assert len(current_removals(registry)) == 1
    assert cached()
    again = forget_document("same.txt", None, reason="asked")
    assert again["removals"] == 0
    assert any(path.startswith("content/documents/") for path in again["erased"])
    assert not cached()
