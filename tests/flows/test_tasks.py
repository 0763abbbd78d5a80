"""Tasks through the whole pipeline: a language model, a classifier from it, predictions."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lmcore_shell import Session, Shell

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

GOOD = ("good", "great", "lovely", "fine", "superb", "bright")
BAD = ("bad", "awful", "poor", "dull", "weak", "dreary")

COMMON = """\
tokenizer: {kind: bpe, vocab_size: 400}
model: {pattern: LA, d_model: 48, head_dim: 24, num_heads: 2, window: 32, embedding_dim: 32}
training: {max_steps: 150, batch_size: 32, sequence_length: 32, learning_rate: 0.01, \
warmup_steps: 5, evaluations: 4, precision: float32}
gates: {evaluation: {resamples: 1000}}
"""
LANGUAGE = """\
name: talk
sources: [{path: reviews.jsonl, text_field: text, license: CC0-1.0, origin: made by a test}]
gates: {required: [provenance], evaluation: {resamples: 1000}}
""" + COMMON.rpartition("gates")[0]
SENTIMENT = (
    """\
name: tone
task: sentiment
base: talk
sources:
  - {path: reviews.tsv, columns: [label, text], target_field: label, license: CC0-1.0,
     origin: made by a test}
data: {validation_fraction: 0.25, tune_fraction: 0.1, near_duplicates: false}
"""
    + COMMON
)


def rows(count: int, seed: int) -> Sequence[tuple[str, str]]:
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        good = rng.random() < 0.5
        first, second = rng.sample(GOOD if good else BAD, 2)
        thing = rng.choice(("film", "book", "play", "song", "meal"))
        text = f"they said that {thing} number {rng.randrange(10_000)} was {first} and {second} ."
        found.append(("positive" if good else "negative", text))
    return found


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, begun: Callable[[Shell], Shell]) -> Shell:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "reviews.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for _, text in rows(400, 1))
    )
    (folder / "reviews.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in rows(600, 2)))
    (folder / "talk.yaml").write_text(LANGUAGE)
    (folder / "tone.yaml").write_text(SENTIMENT)
    return begun(Shell(folder))


def test_a_task_is_made_from_the_champion_and_used(shell: Shell) -> None:
    with shell.opened() as session:
        praise, prediction = made_and_used(session, shell.folder)
    script = f"""
import json, mlflow.pyfunc
model = mlflow.pyfunc.load_model("models:/tone@champion")
records = model.predict({{"text": [{praise!r}]}}).to_dict("records")
print(json.dumps([model.metadata.signature.inputs.input_names(), records]))
"""
    store = f"sqlite:///{shell.home / 'mlflow' / 'mlflow.db'}"
    servers = {"MLFLOW_TRACKING_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = shell.python("-c", script, **servers)
    assert done.code == 0, done.err[-2000:]
    names, (record,) = json.loads(done.out.splitlines()[-1])
    assert names == ["text"]
    assert record["output"] == prediction["output"]
    assert json.loads(record["probabilities"]) == pytest.approx(
        prediction["probabilities"], abs=1e-6
    )


def made_and_used(lmcore: Session, folder: Path) -> tuple[str, dict[str, Any]]:
    """The life of a task; a text, and what is predicted of it."""
    lmcore.run("run", "--config", "talk.yaml")
    answer = lmcore.run("run", "--config", "tone.yaml")
    assert answer["outcome"] == "promoted", answer["reason"]
    assert (answer["task"], answer["version"], answer["champion"]) == ("sentiment", 1, 1)
    expected = {"accuracy", "macro_f1", "baseline_accuracy", "baseline_macro_f1"}
    assert expected <= set(answer["metrics"])
    assert answer["metrics"]["accuracy"]["value"] > 0.9
    gates = {gate["gate"]: gate["outcome"] for gate in answer["gates"]}
    assert gates["competence"] == gates["instrument"] == "PASS"

    praise = "they said that film number 5 was lovely and fine ."
    one = lmcore.run("predict", praise)
    assert (one["model"], one["version"]) == ("tone", 1)
    (prediction,) = one["predictions"]
    assert prediction["output"] == "positive"
    assert set(prediction["probabilities"]) == {"positive", "negative"}
    assert prediction["truncated"] is False
    texts = ["they said that meal number 7 was awful and dull .", "", "lovely " * 500]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    several = lmcore.run("predict", "--model", "tone", "--file", "texts.txt")["predictions"]
    assert [p["input"] for p in several] == texts
    assert several[0]["output"] == "negative"
    assert "empty" in several[1]["note"]
    assert [p["truncated"] for p in several] == [False, False, True]

    shown = lmcore.run("show", "1", "--model", "tone")
    assert shown["lineage"]["base"]["model"] == "talk"
    report = Path(shown["report"]).read_text()
    assert "Confusion" in report
    assert "<dt>Accuracy</dt>" in report
    assert "talk version 1" in report
    assert lmcore.run("run", "--config", "tone.yaml")["outcome"] == "skipped"
    status = {m["model"]: m["task"] for m in lmcore.run("status")["models"]}
    assert status == {"talk": "language_modelling", "tone": "sentiment"}
    again = lmcore.run("reproduce", "1", "--model", "tone")
    assert again["identical"], again["mismatches"]
    assert again["mismatches"] == []
    for_text = lmcore.run("generate", "--model", "tone", "--prompt", "x", code=2)
    for_label = lmcore.run("predict", "--model", "talk", "x", code=2)
    assert "lmcore predict" in for_text["error"]
    assert "lmcore generate" in for_label["error"]
    return praise, prediction
