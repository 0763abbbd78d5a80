"""What a value of a target column is as a label: one text for each class, however it was stored.

A column of integers becomes floats where one of its values is missing, and a missing value becomes
NaN.  So 3 and 3.0 are the same class, and what is not finite is none.
"""

from __future__ import annotations

import math
from decimal import Decimal

# Beyond this floats no longer tell neighbouring integers apart (53 bits).
_EXACT = 1 << 53


def label(value: object, *, name: str) -> object:
    """The label that a number or a boolean stands for; anything else as it is.

    Args:
        value: What stands in the target column.
        name: Of the column, for the message.

    Raises:
        ValueError: If it is NaN or infinite; the message is the reason that a row is set aside.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, float | Decimal):
        return value
    if not math.isfinite(value):
        kind = "NaN" if math.isnan(value) else "infinite"
        raise ValueError(f"{name!r} is {kind}, which is no label")
    whole = int(value)
    return str(whole) if whole == value and -_EXACT < whole < _EXACT else str(value)
