"""The language model that a task starts from, out of the registry."""

from __future__ import annotations

from collections import Counter

from flows.registry.document_matches import removed_documents
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.config import RunConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.errors import NotFoundError, UserError
from lmcore.tasks.base_model import BaseModel
from lmcore.tasks.task import LANGUAGE_MODELLING


def current_base(
    registry: Registry, config: RunConfig, removals: Removals = NOTHING_REMOVED
) -> BaseModel | None:
    """The champion of the language model that a task starts from; None where it names none.

    Raises:
        NotFoundError: If there is no such model.
        UserError: If it has no champion, or is no language model.
        IntegrityError: If its files are damaged.
    """
    if config.base is None:
        return None
    known = registry.models()
    if config.base not in known:
        raise NotFoundError(
            f"base: model {config.base!r} does not exist; registered are"
            f" {', '.join(known) or 'none'}. Train it first, or set base: null to start from"
            " random weights"
        )
    number = registry.aliases(config.base).get("champion")
    if number is None:
        raise UserError(
            f"base: {config.base} has no champion yet; promote one of its versions, or set base:"
            " null to start from random weights"
        )
    version = registry.version(config.base, number)
    if version.task != LANGUAGE_MODELLING.name:
        raise UserError(
            f"base: {config.base} is a model for {version.task}; a task starts from a language"
            " model"
        )
    return base_model(registry, version, removals)


def base_model(
    registry: Registry, version: Version, removals: Removals = NOTHING_REMOVED
) -> BaseModel:
    """A version of a language model as what a task starts from.

    Raises:
        IntegrityError: If its files are damaged.
    """
    folder = registry.open(version)
    rows = list(folder.documents())
    train = [row for row in rows if row["split"] in ("train", "tune")]
    train_ids = {row["id"] for row in train}
    licenses: Counter[str] = Counter()
    for row in train:
        licenses[row["license"]] += row["num_bytes"]
    return BaseModel(
        model=version.model,
        version=version.number,
        key=version.manifest_sha256,
        weights=folder.path / "model",
        tokenizer=folder.path / "tokenizer",
        train_ids=train_ids,
        removed=len(train_ids & removed_documents(folder, removals)),
        licenses=dict(sorted(licenses.items())),
    )
