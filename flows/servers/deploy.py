"""`lmcore deploy`: the deployments of configurations on a Prefect server, for its workers.

In: configurations and a work pool, which is made where its type is named.  Out: the deployments and
automations that `lmcore up` would serve itself.  What runs them needs lmcore installed, and reads
the sources at the paths that the configurations name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.home.configurations import load_configs
from flows.home.environment import current
from flows.servers.work_pools import PoolType, job_template, make_pool
from lmcore.errors import NotFoundError, UserError


def deploy(
    config_files: Sequence[Path],
    *,
    pool: str,
    pool_type: PoolType | None = None,
    job_variables: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the deployments.

    Args:
        config_files: One configuration a model; none means the installed default.
        pool: Name of a work pool.
        pool_type: Its type: the pool is made where it is missing, and gets the template of this
            release. None: it exists, and stays as it is.
        job_variables: `KEY=VALUE` each, what differs from the template.

    Raises:
        UserError: If a configuration or a job variable is wrong, or no Prefect server was chosen.
        NotFoundError: If no type is named and the server has no such work pool.
    """
    if job_variables and pool_type is None:
        raise UserError("--job-variable changes the template of a pool; name its --type as well.")
    home = current()
    if home.prefect_api_url is None:
        raise UserError(
            "there is no Prefect server to deploy to; set PREFECT_API_URL, or start `lmcore up`."
        )
    configs = load_configs(home, config_files)
    template = job_template(pool_type, home, job_variables) if pool_type else {}
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    from flows.servers.automations import ensure_all
    from flows.servers.deployments import REPORT, deployments

    with get_client(sync_client=True) as client:
        if pool_type is not None:
            make_pool(client, pool, pool_type, template)
        try:
            found = client.read_work_pool(pool)
        except ObjectNotFound as error:
            raise NotFoundError(
                f"the Prefect server has no work pool {pool!r}; `lmcore deploy --pool {pool} --type"
                " process` makes one (or docker, kubernetes)."
            ) from error
        ids: dict[str, UUID] = {}
        for deployment in deployments(configs, work_pool=pool):
            identity = deployment.apply()
            assert isinstance(identity, UUID)
            ids[deployment.full_name] = identity
        ensure_all(client, ids[f"{REPORT}/lmcore"])
    return {
        "server": home.prefect_api_url,
        "pool": pool,
        "type": found.type,
        "deployments": list(ids),
    }
