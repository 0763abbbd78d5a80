"""Where deployments that the last release wrote to a Prefect server look for `report_crash`.

`lmcore up` and `lmcore deploy` name `flows.notices.failures` instead; gone with the next release.
"""

from flows.notices.failures import report_crash

__all__ = ["report_crash"]
