"""What is told of documents without a model is what is told of them with one."""

from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.evaluation.drift.drift import Arrivals, judge_compared
from lmcore.evaluation.drift.monitoring import Monitoring, nothing_arrived

LIMITS = MonitorConfig.model_validate({"min_documents": 7})


def test_nothing_arrived_is_told_as_by_who_scored_the_reference_again() -> None:
    scored = Monitoring(
        drift=judge_compared(None, count=0, limits=LIMITS),
        arrivals=Arrivals(known=12, copies=0, excluded=0, fresh={}),
        scored=0,
        check_documents=5,
        check=None,
        tokens_per_byte=None,
        unseen_words=None,
        lengths=None,
    ).to_json()
    found = nothing_arrived(12, limits=LIMITS).to_json()
    assert found == {**scored, "check": {"documents": 0, "difference": None}}
    assert (found["outcome"], found["documents"]["needed"]) == ("INCONCLUSIVE", 7)
    assert "No document has arrived" in found["reason"]
