"""The model that a pipeline begins with, where it does not begin with random weights."""

from __future__ import annotations

import logging

from flows.home.environment import Home
from lmcore.config import RunConfig
from lmcore.content_store import ContentStore
from lmcore.data.text.licences import UNKNOWN, normal_license
from lmcore.data.tokens.borrowing import borrow_tokenizer
from lmcore.errors import ConfigError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.base import Base
from lmcore.model.pretrained.importing import import_base

logger = logging.getLogger(__name__)


def spdx_name(license_: str) -> str | None:
    """The SPDX expression that a model's own word for its licence is; None where it is none."""
    try:
        expression = normal_license(license_)
    except ConfigError:
        return None
    return None if expression == UNKNOWN else expression


def model_to_start_from(config: RunConfig) -> PretrainedConfig | None:
    """The section that names a model that exists, its licence spelled as SPDX does.

    Raises:
        ConfigError: If the licence is none that SPDX knows.
    """
    if not isinstance(config.model, PretrainedConfig):
        return None
    license_ = normal_license(config.model.license, key="model.license")
    return config.model.model_copy(update={"license": license_})


def import_model(config: RunConfig, home: Home) -> Base | None:
    """Check and import the model that a configuration names, once; None where it names none.

    Raises:
        SourceError: If there is no such model, or none that can be gone on from.
        ConfigError: If its licence is none, or the extra is missing.
        IntegrityError: If its tokenizer is none that text can be read with.
    """
    chosen = model_to_start_from(config)
    if chosen is None:
        return None
    store = ContentStore(home.content)
    base = import_base(store, chosen, spdx=spdx_name)
    # Before a corpus is read: a tokenizer that cannot be used is a reason to stop now.
    borrow_tokenizer(store, base.path, base.key)
    record = base.record()
    logger.info(
        "import: %s, %s, %s weights, from %s",
        record.name,
        record.architecture,
        f"{record.parameters:,}",
        record.source,
    )
    return base
