"""When is a run the same run? When data, configuration, code and locked libraries are the same.

The key finds the version that a finished run registered (then there is nothing to do), the
MLflow run that a killed run left open (then it goes on), and names both in the registry.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from flows.home.folders import PROJECT
from lmcore.data.copies.removal import Removals
from lmcore.digests import code_digest, digest

# Whatever reads these keys compares them as a whole; the parts are kept for people and audits.
_LIBRARIES = (
    *("torch", "numpy", "tokenizers", "safetensors", "pyarrow", "mlflow", "prefect"),
    # What they know of numbers decides what is masked.
    *("phonenumbers", "python-stdnum"),
)


@dataclass(frozen=True, kw_only=True)
class RunKey:
    """Digests of all that a run depends on.

    Attributes:
        data: Bytes of every source, and what was removed of them.
        config: Every section that shapes a model or its verdict.
        code: Source text of lmcore.
        libraries: Names and versions of the libraries that compute.
        start: Weights of the champion, where the run asks to go on from it.
        nonce: 0, or how many finished runs of this key a forced run follows.
    """

    data: str
    config: str
    code: str
    libraries: str
    start: str | None = None
    nonce: int = 0

    @property
    def digest(self) -> str:
        """The key as one digest."""
        return digest(self.__dict__)

    @property
    def base(self) -> str:
        """The key without the nonce and the start: what decides whether anything is new.

        Shared by a run and its forced repetitions. That the champion is another one is nothing
        new, or a run that was promoted would be repeated from its own result for ever.
        """
        return digest({**self.__dict__, "start": None, "nonce": 0})

    def tags(self) -> dict[str, str | None]:
        """The parts as tags of an MLflow run, and the lock file beside them."""
        return {
            "data_fingerprint": self.data,
            "config_fingerprint": self.config,
            "code_digest": self.code,
            "libraries_digest": self.libraries,
            "lock_digest": lock_digest(),
        }


#: What a model that is gone on from is computed with.
_OF_PRETRAINED = ("transformers", "peft")


def run_key(
    *,
    data: str,
    config: str,
    start: str | None = None,
    nonce: int = 0,
    pretrained: bool = False,
) -> RunKey:
    """The key of a run with this data and configuration on the installed code."""
    return RunKey(
        data=data,
        config=config,
        code=code_digest("lmcore"),
        libraries=digest(library_versions(pretrained=pretrained)),
        start=start,
        nonce=nonce,
    )


def data_digest(sources: str, removals: Removals) -> str:
    """The data of a run: its sources, and, where there are removals, these as well."""
    return digest([sources, removals.digest]) if removals else sources


def processor_name() -> str:
    """The kind of processor: on another one the same sums may end in other bits."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def lock_digest() -> str | None:
    """Digest of the versions in `requirements.lock` beside the installed project.

    None where it is not there.  Which files of a version may be installed changes nothing: an index
    gets a wheel for another machine now and then.
    """
    lock = PROJECT / "requirements.lock"
    if not lock.exists():
        return None
    return digest(re.findall(r"^[^\s#;]+==[^\s;]+", lock.read_text(encoding="utf-8"), re.MULTILINE))


def library_versions(*, pretrained: bool = False) -> dict[str, str]:
    """Versions of the libraries that a model's numbers depend on.

    Args:
        pretrained: Whether it began with a model that exists.
    """
    names = (*_LIBRARIES, *(_OF_PRETRAINED if pretrained else ()))
    return {name: importlib.metadata.version(name) for name in names}
