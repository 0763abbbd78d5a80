"""One text in several forms is on one side: exact copies that only look different to a program.

In: the index of the work folder with the ledger attached; the `form` of a text is the same in
whatever characters it is written (`lmcore.data.text.folding`).  Out: common `anchors` for them,
whether near-copies are looked for or not.  They stay documents of their own: their text differs.

A ledger from before texts had forms may have put two forms of one text on two sides.  Neither
moves, but the one that would be trained on is left out.
"""

from __future__ import annotations

import sqlite3

from lmcore.data.ingest.split import NOWHERE


def join_known_forms(work: sqlite3.Connection) -> None:
    """Hang new texts on the anchors of a text that the ledger knows in another form."""
    work.execute(
        "UPDATE current SET anchors = (SELECT d.anchors FROM ledger.document d"
        " WHERE d.form = current.form ORDER BY d.anchors LIMIT 1) WHERE NOT known"
    )


def join_new_forms(work: sqlite3.Connection) -> int:
    """Hang the new forms of one text on one anchor.

    Returns:
        Documents that are another form of a text of this corpus, the first of each not counted.
    """
    work.execute("CREATE INDEX current_form ON current (form)")
    work.execute(
        "CREATE TABLE twice AS SELECT form, max(anchors) AS anchors, min(id) AS first,"
        " count(*) - 1 AS others FROM current GROUP BY form HAVING count(*) > 1"
    )
    work.execute("CREATE UNIQUE INDEX twice_form ON twice (form)")
    # Near-copies were joined before: what has no anchors yet stands alone but for its other forms.
    work.execute(
        "UPDATE current SET anchors = coalesce(t.anchors, t.first) FROM twice t"
        " WHERE t.form = current.form AND current.anchors IS NULL"
    )
    (others,) = work.execute("SELECT total(others) FROM twice").fetchone()
    return int(others)


def exclude_forms_of_validation(work: sqlite3.Connection) -> None:
    """Leave out of training what stands in validation in another form, in table `side`.

    Not where the sides are those that a version had: it is to be made again as it was.
    """
    recorded = "SELECT 1 FROM ledger.appointment WHERE anchor = ?"
    if work.execute(recorded, (NOWHERE,)).fetchone():
        return
    work.execute(
        "UPDATE side SET side = 'excluded', reason = 'copy' WHERE side IN ('train', 'tune')"
        " AND row IN (SELECT row FROM current WHERE form IN (SELECT form FROM twice"
        " JOIN current USING (form) JOIN side USING (row) WHERE side = 'validation'))"
    )
