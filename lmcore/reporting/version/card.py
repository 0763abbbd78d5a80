"""The model card in the Hugging Face format: YAML for machines, Markdown for people.

In: `ReportData`.  Out: the text of a README.md that the hub, and anybody else, can read.  It is
made offline: the hub's own validation is a web request, so it is never called; that the
metadata are well-formed is checked by reading them back with the hub's library.  Whatever the
template prints is escaped unless it is a fence that its content cannot close.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from markupsafe import Markup

from lmcore.reporting.tables import Table
from lmcore.reporting.templates import environment
from lmcore.reporting.text import duration, fence, one_line, slug, words
from lmcore.reporting.version import books, measures
from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.report import shared

_PIPELINES = {
    "language_modelling": "text-generation",
    "sentiment": "text-classification",
    "translation": "translation",
    "summarization": "summarization",
}
_EMBEDDED_STORE = "sqlite:///.lmcore/mlflow/mlflow.db"
_ADDRESS_CHARACTERS = 1000
_HUB_MODEL = re.compile(r"([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})@[0-9a-f]{40}")
# SPDX identifiers that the hub knows, where its name is not just the lower-case one.
_HUB_NAMES = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl"}
_HUB_LICENSES = {
    *("apache-2.0", "mit", "cc0-1.0", "unlicense", "odc-by", "odbl", "pddl", "gfdl"),
    *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
    *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    *("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "etalab-2.0", "mpl-2.0"),
    *("bsd-2-clause", "bsd-3-clause", "cdla-permissive-2.0", "unknown"),
}
# A risk, the gates that look for it, and what it means that nothing was found or looked for.
_RISKS = (
    ("Bias", ("bias_lm", "bias_task"), "The model repeats the views and stereotypes of its text."),
    (
        "Memorisation",
        ("exposure", "regurgitation", "overfitting"),
        "A model can recite passages that it has read, above all those that were repeated.",
    ),
    (
        "Private data",
        ("pii",),
        "Masking finds addresses and numbers of known formats; it does not find names or stories.",
    ),
    (
        "Ownership",
        ("provenance",),
        "Licences are those that the owner of the sources has stated; nobody has verified them.",
    ),
    (
        "Leaked evaluation text",
        ("contamination",),
        "If held-out text was also in the training text, the figures above are too good.",
    ),
)


def render_card(data: ReportData) -> str:
    """Write the model card of one version.

    Args:
        data: What is known; a metric without a finite value is left out of the metadata.

    Returns:
        YAML metadata between `---` lines, then Markdown.
    """
    from huggingface_hub import ModelCard

    body = environment(html=False).get_template("card.md.j2").render(data=data, **_values(data))
    return str(ModelCard(f"---\n{_metadata(data)}\n---\n\n{body.strip()}\n"))


def _metadata(data: ReportData) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    pipeline = _PIPELINES.get(data.task, "text-generation")
    name = one_line(data.model)
    results = []
    for key, metric in data.metrics.items():
        if metric.value is None or not _evaluated(key):
            continue
        bounds = f" (95 % bounds: {metric.bounds})" if metric.bounds else ""
        results.append(
            EvalResult(
                task_type=pipeline,
                dataset_type="held-out",
                dataset_name=f"{name}: held-out documents",
                dataset_split="train" if key.startswith("train_") else "validation",
                dataset_revision=one_line(data.fingerprints.get("data", "")) or None,
                metric_type=one_line(key),
                metric_value=metric.value,
                metric_name=one_line(measures.label(key)) + bounds,
            )
        )
    card = ModelCardData(
        library_name="lmcore",
        pipeline_tag=pipeline,
        tags=["lmcore", "safetensors", slug(data.task)],
        language=books.main_languages(data) or None,
        metrics=[result.metric_type for result in results] or None,
        model_name=name if results else None,
        eval_results=results or None,
        base_model=_hub_id(data.pretrained.source),
        **_license(data),
    )
    return str(card.to_yaml())


def _evaluated(name: str) -> bool:
    return not name.startswith(("baseline_", "champion_", "untouched_")) and name not in (
        "params",
        "train_tokens_per_second",
    )


def _hub_id(source: str) -> str | None:
    """The model of the hub that a place names; None for any other place."""
    match = _HUB_MODEL.fullmatch(source)
    return match[1] if match else None


def _license(data: ReportData) -> dict[str, Any]:
    """Licences of the training data, and of a pretrained model, as the hub writes licences.

    One name, or `other`.
    """
    found = [share.name for share in books.license_shares(data)]
    if (own := one_line(data.pretrained.license)) and own not in found:
        found.append(own)
    if not found:
        return {"license": "unknown"}
    name = _HUB_NAMES.get(found[0].lower(), found[0].lower())
    if len(found) == 1 and name in _HUB_LICENSES:
        return {"license": name}
    return {"license": "other", "license_name": "-and-".join(map(slug, found[:5]))}


def _values(data: ReportData) -> dict[str, Any]:
    train, values = data.seconds.get("train"), shared(data)
    for name in ("facts", "pretrained", "account_values", "fingerprints", "plan", "environment"):
        rows = tuple(values[name])
        header = ("What", "Value")
        values[name] = Table(caption="", header=header, rows=rows) if rows else None
    return {
        **values,
        "samples": [fence(sample.prompt + sample.text) for sample in data.samples[:2]],
        "use": _use(data),
        "languages": books.languages(data),
        "config": fence(data.config_yaml.strip("\n"), "yaml") if data.config_yaml else None,
        "risks": [(name, text, _checked(data, gates)) for name, gates, text in _RISKS],
        "train_time": duration(train) if train else "",
    }


def _use(data: ReportData) -> list[Markup]:
    """Commands that load this version; none for a candidate that nothing is known of.

    Without a number the champion is named: the card is written before the registry numbers it.
    """
    if data.designation == "candidate":
        return []
    model = one_line(data.model)
    address = f"{model}/{data.version}" if data.version else f"{model}@champion"
    command = "generate --prompt" if data.answer == "continuation" else "predict"
    store = one_line(data.tracking_uri, _ADDRESS_CHARACTERS) or _EMBEDDED_STORE
    column = "prompt" if data.answer == "continuation" else "text"
    python = (
        "import os\n\nimport mlflow\n\n"
        f"mlflow.set_tracking_uri(os.environ.get('MLFLOW_TRACKING_URI', {store!r}))\n"
        f"model = mlflow.pyfunc.load_model({f'models:/{address}'!r})\n"
        f"print(model.predict({{{column!r}: ['Some text']}}))"
    )
    version = data.version or "champion"
    shell = f"lmcore {command} 'Some text' --model {shlex.quote(model)} --version {version}"
    return [fence(shell, "bash"), fence(python, "python")]


def _checked(data: ReportData, names: tuple[str, ...]) -> str:
    """Which of the gates that look for a risk ran, and what they said."""
    said = [
        f"{words(gate.name)}: {one_line(gate.outcome, 40)}"
        for gate in data.gates
        if gate.name in names and gate.outcome != "SKIPPED"
    ]
    return ", ".join(said) if said else "not checked for this version"
