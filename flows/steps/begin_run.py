"""What a run begins with: is its name free for its task, and what is everything it depends on?"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flows.home.environment import Home
from flows.registry.models import Registry
from flows.registry.removals import current_removals
from flows.registry.versions import Version
from flows.steps.base_model import current_base
from flows.steps.choose_start import champion_weights
from flows.steps.run import Run
from flows.steps.run_key import data_digest, run_key
from flows.steps.shard import wanted_shards
from lmcore.config import RunConfig
from lmcore.data.sources.located import SourceFingerprint
from lmcore.digests import digest
from lmcore.errors import IntegrityError, UserError
from lmcore.model.pretrained.base import Base

logger = logging.getLogger(__name__)


def check_task(config: RunConfig, registry: Registry) -> None:
    """A registered name stands for one task for ever.

    Raises:
        UserError: If versions of this name were made for another one, or it is the name of a
            pretrained model.
    """
    if config.name in registry.bases.names():
        raise UserError(
            f"name={config.name!r} is the registered name of a pretrained model; give this model a"
            " name of its own"
        )
    others = {v.task for v in registry.versions(config.name)} - {config.task}
    if others:
        raise UserError(
            f"name={config.name!r} is a model for {others.pop()} already, not for"
            f" {config.task}; give this model a name of its own"
        )


def usable(registry: Registry, versions: Sequence[Version]) -> bool:
    """Whether what a finished run made is still whole: of several, the version in use.

    Args:
        registry: Where they are registered.
        versions: Of one run key, oldest first.
    """
    in_use = [version for version in versions if "champion" in version.aliases]
    version = (in_use or versions)[-1]
    try:
        registry.read(version, whole=False)
    except IntegrityError as error:
        logger.warning("%s; so this run makes another version", error)
        return False
    return True


def begin_run(
    config: RunConfig, *, home: Home, sources: SourceFingerprint, pretrained: Base | None = None
) -> Run:
    """Put together what the run depends on.

    Args:
        config: The pipeline's configuration.
        home: Where everything is kept.
        sources: The sources' files.
        pretrained: The imported model that everything begins with.

    Raises:
        UserError: If a task cannot start from the model that it names.
        ConfigError: If a variable of the environment says nothing that could be done.
        IntegrityError: If the files of that model are damaged.
    """
    wanted_shards()  # before a training that could then not be evaluated
    registry = Registry(home)
    everything = current_removals(registry)
    removals = everything.for_model(config.name)
    base = current_base(registry, config, everything.for_model(config.base or config.name))
    settings = config.fingerprint()
    # A new champion of the base model is a reason to train again, and so are other bytes of the
    # model that everything begins with.
    begun_with = [part.key for part in (base, pretrained) if part is not None]
    key = run_key(
        data=data_digest(sources.digest, removals),
        config=digest([settings, *begun_with]) if begun_with else settings,
        start=champion_weights(config, registry),
        pretrained=pretrained is not None,
    )
    return Run(
        config=config,
        home=home,
        key=key,
        sources=sources,
        removals=removals,
        base=base,
        pretrained=pretrained,
    )
