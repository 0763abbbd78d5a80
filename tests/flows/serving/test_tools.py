"""Tools of others that test an interface, and measure models through it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("schemathesis")
pytest.importorskip("lm_eval")
pytest.importorskip("transformers")
import schemathesis
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode

from flows.registry.reader import HomeReader
from lmcore.version_export import export_version

TEXT, CHOICES = "The water and the", [" road", " house by the sea", " x"]


BODIES = ("/v1/completions", "/v1/predict", "/v1/feedback", "/v1/chat/completions")
ASKED = [
    *((path, "POST", mode) for path in BODIES for mode in GenerationMode),
    ("/v1/models/{name}", "GET", GenerationMode.POSITIVE),
]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method", "mode"), ASKED)
def test_what_follows_its_description_or_breaks_it_breaks_nothing(
    served: Any, path: str, method: str, mode: GenerationMode
) -> None:
    description = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operation = description[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        answer = case.call(timeout=60)
        case.validate_response(answer, checks=[not_a_server_error])

    ask()
    assert served.client.get("/health").text == "ok"


@pytest.mark.slow
def test_lm_eval_measures_what_the_model_says(served: Any, tmp_path: Path) -> None:
    reader = HomeReader(served.home)
    folder = reader.open(reader.version("speeches", 1))
    export_version(folder, tmp_path / "exported")
    rows = [{"text": TEXT, "choices": CHOICES, "answer": i % 3} for i in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "endings",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"validation": str(tmp_path / "rows.jsonl")}},
        "output_type": "multiple_choice",
        "validation_split": "validation",
        "doc_to_text": "{{text}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{answer}}",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "endings.yaml").write_text(yaml.safe_dump(task))
    told = {
        "model": "speeches",
        "base_url": f"{served.url}/v1/completions",
        "tokenizer": tmp_path / "exported",
        "tokenizer_backend": "huggingface",
        "num_concurrent": 2,
        "max_retries": 1,
    }
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "lm_eval", "run"),
            *("--model", "local-completions", "--tasks", "endings", "--batch_size", "2"),
            *("--model_args", ",".join(f"{key}={value}" for key, value in told.items())),
            *("--include_path", str(tmp_path / "tasks"), "--log_samples"),
            *("--output_path", str(tmp_path / "out")),
        ],
        cwd=tmp_path,
        env={
            "PATH": "",
            "HOME": str(tmp_path),
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "TRANSFORMERS_TRUST_REMOTE_CODE": "1",
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (samples,) = (tmp_path / "out").rglob("samples_*.jsonl")
    first = json.loads(samples.read_text().splitlines()[0])
    measured = [float(answer[0][0]) for answer in first["resps"]]
    model, tokenizer = folder.load_model(), folder.load_tokenizer()
    before = tokenizer.encode(TEXT)
    for choice, value in zip(CHOICES, measured, strict=True):
        ids = tokenizer.encode(TEXT + choice)
        assert ids[: len(before)] == before
        with torch.inference_mode():
            features, _ = model.features(torch.tensor([[model.end_id, *ids]]))
            scores = model.logits(features)[0].log_softmax(-1)
        wanted = sum(float(scores[i, ids[i]]) for i in range(len(before), len(ids)))
        assert value == pytest.approx(wanted, abs=1e-3)
