"""The model that a pipeline begins with, where it does not begin with random weights."""

from __future__ import annotations

import logging

from flows.home.environment import Home
from lmcore.artifacts import ContentStore
from lmcore.config import RunConfig
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.base import Base
from lmcore.model.pretrained.importing import import_base

logger = logging.getLogger(__name__)


def import_model(config: RunConfig, home: Home) -> Base | None:
    """Check and import the model that a configuration names, once; None where it names none.

    Raises:
        SourceError: If there is no such model, or none that can be gone on from.
    """
    if not isinstance(config.model, PretrainedConfig):
        return None
    base = import_base(ContentStore(home.content), config.model)
    record = base.record()
    logger.info(
        "import: %s, %s, %.0f M weights, from %s",
        record.name,
        record.architecture,
        record.parameters / 1e6,
        record.source,
    )
    return base
