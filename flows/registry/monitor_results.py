"""What monitoring found over time: one MLflow run each, in the experiment `NAME/monitor`.

In: an answer of `lmcore monitor`.  Out: a run with its figures as metrics, to be plotted in
MLflow's pages, and the whole answer as its tag `lmcore.monitor`, to be read back here, also as the
answer to a later question after the same.  No model
can be called `NAME/monitor`, so the experiments of runs and of monitoring never meet.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from flows.home.folders import Home
from flows.registry.figures import with_bounds
from flows.registry.records import records_of
from flows.registry.runs import tag_values
from flows.registry.tag_values import read_object
from lmcore.digests import digest

TAG = "lmcore.monitor"
#: What the answer depends on and the answer, as one digest: of one that was edited it is another.
_SEAL = "lmcore.monitor_seal"


def experiment_name(model: str) -> str:
    """MLflow experiment of a model's monitoring."""
    return f"{model}/monitor"


def log_monitoring(home: Home, answer: Mapping[str, Any], *, key: str) -> str:
    """Keep an answer; returns the identifier of its MLflow run.

    Args:
        home: A prepared home.
        answer: As `lmcore monitor --json` prints it, but for the identifier of the run.
        key: Digest of all that it depends on.
    """
    from flows.registry.tracking import open_run

    model = str(answer["model"])
    with open_run(
        home,
        model=experiment_name(model),
        run_key=secrets.token_hex(16),
        name=f"{model} {str(answer['at'])[:16].replace('T', ' ')} {answer['outcome'].lower()}",
        tags={"model": model, "outcome": answer["outcome"], "champion": str(answer["champion"])},
    ) as tracked:
        tracked.log_metrics(_figures(answer))
        text = json.dumps({**answer, "mlflow_run_id": tracked.run_id})
        tracked.set_tags({TAG: text, _SEAL: digest([key, text])})
    return tracked.run_id


def answer_to(home: Home, model: str, *, key: str) -> dict[str, Any] | None:
    """The last answer that was kept of a model, if it was one to the same; None where it was not.

    Args:
        home: A prepared home.
        model: Registered model.
        key: Digest of all that an answer depends on.
    """
    for run in records_of(home).runs(experiment_name(model), finished=True, newest=1):
        text = run.tags.get(TAG, "")
        if run.tags.get(_SEAL) == digest([key, text]):
            return read_object(text)
    return None


def monitor_results(home: Home, model: str) -> list[dict[str, Any]]:
    """Every answer that was kept of a model, oldest first; what cannot be read is left out."""
    found = []
    for text in tag_values(home, experiment_name=experiment_name(model), tag=TAG):
        value = read_object(text)
        if value is not None and value.get("model") == model:
            found.append(value)
    return sorted(found, key=lambda value: str(value.get("at")))


def _figures(answer: Mapping[str, Any]) -> dict[str, float]:
    figures = {
        "limit_bits_per_byte": float(answer["limit"]),
    }
    if answer["documents"] is not None:
        figures["fresh_documents"] = float(answer["documents"]["fresh"])
    if (asked := answer.get("requests")) is not None and asked["bits_per_byte"] is not None:
        figures |= with_bounds({"requests_bits_per_byte": asked["bits_per_byte"]["difference"]})
    if (said := answer.get("feedback")) is not None and said["in_use"] is not None:
        figures |= with_bounds({"right_in_use": said["in_use"]})
    for name in ("bits_per_byte", "tokens_per_byte", "unseen_words"):
        compared = answer[name]
        if compared is None:
            continue
        figures |= {f"{side}_{name}": compared[side]["value"] for side in ("fresh", "reference")}
        figures |= with_bounds({f"difference_{name}": compared["difference"]})
    return figures
