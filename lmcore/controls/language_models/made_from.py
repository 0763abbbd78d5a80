"""Controls of the gate `provenance`: a pretrained model that must not be used, and one that may.

In: a seed.  Out: what the gate says of allowed text and such a model.  The model is a folder with a
record and random bytes for weights: nobody reads those here.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
from pathlib import Path

from lmcore.content_store import ContentStore
from lmcore.controls.control import Control, by_seed
from lmcore.controls.language_models.ownership import judged, some_texts
from lmcore.data.config import PolicyConfig
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.ownership import examine_base
from lmcore.model.pretrained.base import BASE_FILE, LIBRARY_WEIGHTS_FILE, Base, BaseRecord


def _judged_with_base(
    seed: int,
    *,
    license_: str,
    policy: PolicyConfig | None = None,
    others: bool = False,
) -> GateResult:
    """Allowed text, learnt by a pretrained model.

    Args:
        seed: Of the text and of its weights.
        license_: Of the model.
        policy: Of the pipeline.
        others: Whether the registry knows the model with other weights.
    """
    policy = policy or PolicyConfig()
    weights = random.Random(seed).randbytes(64)
    sha256 = hashlib.sha256(weights).hexdigest()
    record = BaseRecord(
        source="a control",
        name="made-up",
        architecture="None",
        parameters=16,
        vocab_size=2,
        end_token="<end>",  # noqa: S106
        end_id=0,
        most_tokens=None,
        files={LIBRARY_WEIGHTS_FILE: sha256},
        weights_sha256=sha256,
        license=license_,
    )

    def make(folder: Path) -> None:
        (folder / LIBRARY_WEIGHTS_FILE).write_bytes(weights)
        (folder / BASE_FILE).write_text(record.model_dump_json(), encoding="utf-8")

    with tempfile.TemporaryDirectory() as scratch:
        base = ContentStore(Path(scratch)).build(Base, {"seed": seed}, make)
        registered = f"{random.Random(seed).getrandbits(256):064x}" if others else sha256
        found = examine_base(base, policy=policy, registered_weights=registered)
    return judged(some_texts(seed), policy=policy, made_from=found)


def unknown_licence_of_model(seed: int) -> GateResult:
    """A pretrained model whose licence nobody stated, under the default policy."""
    return _judged_with_base(seed, license_="unknown")


def non_commercial_model(seed: int) -> GateResult:
    """A non-commercial pretrained model in a pipeline that allows three licences only."""
    policy = PolicyConfig(allow=["CC0-1.0", "MIT", "Apache-2.0"])
    return _judged_with_base(seed, license_="CC-BY-NC-4.0", policy=policy)


def other_weights(seed: int) -> GateResult:
    """A pretrained model whose weights are not those that the registry has of it."""
    return _judged_with_base(seed, license_="Apache-2.0", others=True)


def allowed_model(seed: int) -> GateResult:
    """A pretrained model under an allowed licence, with the weights that are registered."""
    policy = PolicyConfig(allow=["CC0-1.0", "Apache-2.0"])
    return _judged_with_base(seed, license_="Apache-2.0", policy=policy)


CONTROLS = (
    Control(
        gate="provenance",
        name="pretrained model of unknown licence",
        kind="negative",
        run=by_seed(unknown_licence_of_model),
        cost_seconds=0.3,
    ),
    Control(
        gate="provenance",
        name="non-commercial pretrained model in a commercial pipeline",
        kind="negative",
        run=by_seed(non_commercial_model),
        cost_seconds=0.3,
    ),
    Control(
        gate="provenance",
        name="another pretrained model than the registered one",
        kind="negative",
        run=by_seed(other_weights),
        cost_seconds=0.3,
    ),
    Control(
        gate="provenance",
        name="allowed pretrained model",
        kind="healthy",
        run=by_seed(allowed_model),
        cost_seconds=0.3,
    ),
)
