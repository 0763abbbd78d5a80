"""One text in several forms is on one side: exact copies that only look different to a program.

In: which rows have the same form, that of a text in whatever characters it is written
(`lmcore.data.text.folding`).  Out: common anchors for them, whether near-copies are looked for or
not.  They stay documents of their own: their text differs.

A ledger from before texts had forms may have put two forms of one text on two sides.  Neither
moves, but the one that would be trained on is left out (`lmcore.data.ingest.places`).
"""

from __future__ import annotations

from lmcore.data.copies.forest import groups
from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest.anchors import Anchors
from lmcore.data.ingest.equal_values import Distinct
from lmcore.data.ingest.staged_texts import StagedTexts


def join_new_forms(texts: StagedTexts, anchors: Anchors, forms: Distinct, scratch: Scratch) -> int:
    """Hang the new forms of one text on one anchor.

    Near-copies were joined before: what has no anchors yet stands alone but for its other forms.

    Returns:
        Documents that are another form of a text of this corpus, the first of each not counted.
    """
    others = 0
    for rows in groups(forms.first, scratch):
        members = rows.tolist()
        others += len(members) - 1
        known = [found for found in map(anchors.__getitem__, members) if found is not None]
        value = max(known) if known else min(texts.ids[row].tobytes() for row in members)
        for row in members:
            if not anchors.hangs[row]:
                anchors[row] = value
    return others
