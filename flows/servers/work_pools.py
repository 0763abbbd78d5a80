"""Work pools: where a Prefect server places flow runs, and what each run is given there.

In: a base job template of `deploy/pools`, the servers that this process uses, the user's changes.
Out: a pool whose template says all that a run needs.  Passwords are files that containers mount and
the image's start script reads, so none stands in a template, which Prefect shows to whoever looks.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit

import yaml

from flows.home.folders import PROJECT, Home
from lmcore.errors import UserError
from lmcore.settings import short
from lmcore.typed_path import is_address

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

PoolType = Literal["process", "docker", "kubernetes"]
POOL_TYPES: tuple[PoolType, ...] = get_args(PoolType)
_INSTALLED = Path(__file__).with_name("job_templates")
_TEMPLATES = _INSTALLED if _INSTALLED.is_dir() else PROJECT / "deploy" / "pools"
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_SECRET_NAME = re.compile("PASSWORD|SECRET|TOKEN|AUTH_STRING|API_KEY|ACCESS_KEY")
#: A block of the server's, which Prefect opens when a run starts.
_REFERENCE = re.compile(r"\{\{ *prefect\.(blocks|variables)\.[^{}]+\}\}")


def job_template(pool_type: PoolType, home: Home, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The base job template of a pool.

    Args:
        pool_type: Where runs take place: processes of the worker, containers, or jobs of a cluster.
        home: Its servers are those of the runs.
        changes: `KEY=VALUE` each, a default of the template and its value in YAML; later ones win.

    Raises:
        UserError: If a change fits no key, is of another form than the key's or holds a secret, or
            if runs could not reach the servers.
    """
    template = json.loads((_TEMPLATES / f"{pool_type}.json").read_text(encoding="utf-8"))
    assert isinstance(template, dict)
    properties = template["variables"]["properties"]
    if pool_type != "process":
        if home.embedded:
            raise UserError(
                f"runs of a pool of type {pool_type} have no registry in common with this home; set"
                " MLFLOW_TRACKING_URI to an MLflow server."
            )
        assert home.prefect_api_url is not None
        properties["env"]["default"] |= {
            "MLFLOW_TRACKING_URI": home.tracking_uri,
            "PREFECT_API_URL": home.prefect_api_url,
        }
        if home.shared_content is not None and is_address(home.shared_content):
            properties["env"]["default"]["LMCORE_CONTENT"] = home.shared_content
    for change in changes:
        _set_default(properties, change)
    defaults = {key: told["default"] for key, told in properties.items() if "default" in told}
    _check_form(template["variables"], defaults)
    _check_environment(pool_type, defaults)
    return template


def _set_default(properties: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    name, _, inner = key.partition(".")
    if not equals or not name:
        raise UserError(f"--job-variable {short(change)}: expected KEY=VALUE, as memory=16Gi.")
    if name not in properties:
        near = difflib.get_close_matches(name, properties, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(properties)}"
        raise UserError(f"--job-variable: unknown key {short(name)}; {hint}")
    told = properties[name]
    if inner:
        if told["type"] != "object":
            raise UserError(f"--job-variable: {name!r} has no keys of its own; give {name}=VALUE.")
        # What a variable of the environment is looks like other values at times, and is text.
        told["default"] = {**told.get("default", {}), inner: text}
    elif told["type"] == "string":
        told["default"] = text
    else:
        try:
            told["default"] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--job-variable {key}: {short(text)} is no YAML value.") from error


def _check_form(schema: dict[str, Any], defaults: dict[str, Any]) -> None:
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    try:
        validate(copy.deepcopy(defaults), schema, raise_on_error=True)
    except ValidationError as error:
        raise UserError(f"--job-variable: {' '.join(str(error).split())}") from error


def _check_environment(pool_type: PoolType, defaults: dict[str, Any]) -> None:
    environment = defaults.get("env", {})
    for name, value in environment.items():
        if value and _SECRET_NAME.search(name.upper()) and not _REFERENCE.fullmatch(value):
            raise UserError(
                f"--job-variable env.{name}: everybody who reaches the Prefect server reads what a"
                " pool says; mount it as a file below /run/secrets, or name a block:"
                f" env.{name}='{{{{ prefect.blocks.secret.NAME }}}}'."
            )
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        address = urlsplit(environment.get(name, ""))
        if "@" in address.netloc:
            raise UserError(
                f"{name}: an address holds no user and no password, as everybody who reaches the"
                " Prefect server reads what a pool says; leave them out."
            )
        own_network = pool_type == "kubernetes" or defaults.get("network_mode") != "host"
        if pool_type != "process" and own_network and address.hostname in _THIS_MACHINE:
            raise UserError(
                f"{name}={environment[name]} means the container itself where a container asks;"
                f" give the address under which containers reach it: --job-variable env.{name}=..."
            )


def make_pool(
    client: SyncPrefectClient, name: str, pool_type: PoolType, template: dict[str, Any]
) -> bool:
    """Make a pool, or give the one that exists this template.

    Returns:
        Whether it was made now.

    Raises:
        UserError: If it exists and is of another type.
    """
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists

    try:
        client.create_work_pool(
            WorkPoolCreate(name=name, type=pool_type, base_job_template=template)
        )
    except ObjectAlreadyExists:
        found = client.read_work_pool(name)
        if found.type != pool_type:
            raise UserError(
                f"the work pool {name!r} exists and is of type {found.type}; expected {pool_type}."
                " Give its type, or another name."
            ) from None
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
        return False
    return True
