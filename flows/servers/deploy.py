"""`lmcore deploy`: the deployments of configurations on a Prefect server, for its workers.

In: configurations and a work pool that exists.  Out: the deployments and automations that
`lmcore up` would serve itself.  A worker needs lmcore installed, and reads the sources at the paths
that the configurations name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.home.configurations import load_configs
from flows.home.environment import current
from lmcore.errors import NotFoundError, UserError


def deploy(config_files: Sequence[Path], *, pool: str) -> dict[str, Any]:
    """Write the deployments.

    Args:
        config_files: One configuration a model; none means the installed default.
        pool: Name of a work pool.

    Raises:
        UserError: If a configuration is wrong, or no Prefect server was chosen.
        NotFoundError: If the server has no such work pool.
    """
    home = current()
    if home.prefect_api_url is None:
        raise UserError(
            "there is no Prefect server to deploy to; set PREFECT_API_URL, or start `lmcore up`."
        )
    configs = load_configs(home, config_files)
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    from flows.servers.automations import ensure_all
    from flows.servers.deployments import REPORT, deployments

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound as error:
            raise NotFoundError(
                f"the Prefect server has no work pool {pool!r}; make one with"
                f" `prefect work-pool create {pool} --type process`."
            ) from error
        ids: dict[str, UUID] = {}
        for deployment in deployments(configs, work_pool=pool):
            identity = deployment.apply()
            assert isinstance(identity, UUID)
            ids[deployment.full_name] = identity
        ensure_all(client, ids[f"{REPORT}/lmcore"])
    return {"server": home.prefect_api_url, "pool": pool, "deployments": list(ids)}
