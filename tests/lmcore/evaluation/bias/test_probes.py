"""Probes by path: they run where their data is given, and stop nothing."""

import hashlib
import json

from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.evaluation.bias.probes import probes_digest, run_probes
from lmcore.evaluation.config import ProbePaths


def lists(*words):
    return {"name": " ".join(words), "words": list(words)}


def test_probes_run_where_they_are_given_and_stop_nothing(tmp_path, model_for):
    tokenizer = ByteTokenizer()
    model = model_for(tokenizer, 0.1)
    none = ProbePaths(crows_pairs=None, weat=None)
    assert run_probes(none, model=model, tokenizer=tokenizer, seed=0) == {}
    assert probes_digest(none) == {}
    pairs, tests = tmp_path / "pairs.csv", tmp_path / "weat.json"
    pairs.write_text("sent_more,sent_less,bias_type\nShe is here.,He is here.,gender\n")
    test = {
        "first_target": lists("rose", "lily"),
        "second_target": lists("ant", "bee"),
        "first_attribute": lists("good", "fine"),
        "second_attribute": lists("bad", "sad"),
    }
    tests.write_text(json.dumps([test]))
    paths = ProbePaths(crows_pairs=str(pairs), weat=str(tests))
    found = run_probes(paths, model=model, tokenizer=tokenizer, seed=0)
    assert found["crows_pairs"]["all"]["pairs"] == 1
    assert -2 <= found["weat"]["tests"][0]["d"] <= 2
    json.dumps(found, allow_nan=False)
    before = probes_digest(paths)
    tests.write_text("nothing")
    assert probes_digest(paths)["weat"] != before["weat"]
    assert probes_digest(paths)["crows_pairs"] == before["crows_pairs"]
    broken = run_probes(paths, model=model, tokenizer=tokenizer, seed=0)
    assert "not a file of word lists" in broken["weat"]["problem"]
    pairs.unlink()
    assert probes_digest(paths)["crows_pairs"] == "missing"
    gone = run_probes(paths, model=model, tokenizer=tokenizer, seed=0)
    assert "pairs.csv" in gone["crows_pairs"]["problem"]


def test_a_probe_without_data_leaves_the_other_alone(tmp_path, model_for):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("sent_more,sent_less,bias_type\nShe is here.,He is here.,gender\n")
    paths = ProbePaths(crows_pairs=str(pairs), weat=str(tmp_path / "gone.json"))
    tokenizer = ByteTokenizer()
    found = run_probes(paths, model=model_for(tokenizer), tokenizer=tokenizer, seed=0)
    assert list(found) == ["crows_pairs", "weat"]
    assert "gone.json" in found["weat"]["problem"]
    assert "problem" not in found["crows_pairs"]
    # One at a time, each says the same.
    alone = run_probes(
        ProbePaths(crows_pairs=str(pairs), weat=None),
        model=model_for(tokenizer),
        tokenizer=tokenizer,
        seed=0,
    )
    assert alone == {"crows_pairs": found["crows_pairs"]}
    assert probes_digest(paths) == {
        "crows_pairs": hashlib.sha256(pairs.read_bytes()).hexdigest(),
        "weat": "missing",
    }


def test_a_folder_is_no_file(tmp_path):
    assert probes_digest(ProbePaths(crows_pairs=str(tmp_path), weat=None)) == {
        "crows_pairs": "missing"
    }
