import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.errors import IntegrityError
from lmcore.model.config import ModelConfig
from lmcore.model.factory import save_model
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.serving import (
    MAX_PROMPT_BYTES,
    MAX_PROMPTS,
    RequestError,
    ServedModel,
    _load_pyfunc,
    read_parameters,
    read_prompts,
    smoke_test,
)
from lmcore.version_assembly import VersionParts, assemble_version
from lmcore.version_folder import VersionFolder


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> VersionFolder:
    folder = tmp_path_factory.mktemp("version")
    for name in ("best", "tokenizer", "evaluation"):
        (folder / name).mkdir()
    tokenizer = train_tokenizer(["text"], config=TokenizerConfig(kind="byte"))
    tokenizer.save(folder / "tokenizer")
    torch.manual_seed(0)
    config = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=8)
    save_model(
        RecurrentAttentionLM(config, tokenizer.vocab_size, tokenizer.end_id), folder / "best"
    )
    return assemble_version(
        folder / "version",
        VersionParts(
            best=folder / "best",
            tokenizer=folder / "tokenizer",
            evaluation=folder / "evaluation",
            documents=[],
            sources=[],
            config="",
            report="",
            card="",
            lineage={},
        ),
    )


@pytest.fixture(scope="module")
def served(version: VersionFolder) -> ServedModel:
    return ServedModel(version)


def test_the_answer_is_a_function_of_the_request(served: ServedModel) -> None:
    table = pd.DataFrame({"prompt": ["Fellow citizens", "", "naïve \U0001f600"]})
    answer = served.predict(table, {"max_tokens": 5, "seed": 7})
    assert list(answer.columns) == ["text"]
    assert len(answer) == 3
    assert answer.equals(served.predict(table["prompt"].tolist(), {"max_tokens": 5, "seed": 7}))
    assert not answer.equals(served.predict(table, {"max_tokens": 5, "seed": 8}))
    alone = served.predict(["Fellow citizens"], {"max_tokens": 5, "seed": 7})
    assert alone["text"][0] == answer["text"][0]


def test_no_prompts_no_answers(served: ServedModel) -> None:
    assert len(served.predict([])) == 0


def test_tampered_weights_are_not_served(version: VersionFolder, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(version.path, copy)
    weights = copy / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors: its sha256 differs"):
        _load_pyfunc(str(copy))


def test_the_smoke_test_notices_a_model_that_cannot_answer(
    version: VersionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke_test(version)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(RecurrentAttentionLM, "logits", broken)
    with pytest.raises(RuntimeError, match="broken"):
        smoke_test(version)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (pd.DataFrame({"text": ["a"]}), "columns .'text'.; expected a column 'prompt'"),
        (3, "the input is a int"),
        ([3], "prompt 0 is a int"),
        (["a", None], "prompt 1 is a NoneType"),
        (pd.DataFrame({"prompt": [math.nan]}), "prompt 0 is a float"),
        ([{"prompt": "a", "more": 1}], "prompt 0 is a dict"),
        (["\udc80"], "prompt 0 is not valid Unicode"),
        (pd.DataFrame([{"prompt": ["a"]}, {"prompt": ["b"]}]), "prompt 0 is a list"),
        (pd.DataFrame([{"prompt": ["a", ["b"]]}]), "prompt 1 is a list"),
        (pd.DataFrame([{"prompt": ["a"] * (MAX_PROMPTS + 1)}]), "65 prompts; at most 64"),
        (["é" * (MAX_PROMPT_BYTES // 2 + 1)], "at most 65536"),
        (["a"] * (MAX_PROMPTS + 1), "65 prompts; at most 64"),
        (["a" * MAX_PROMPT_BYTES] * 5, "together have more than 262144 bytes"),
    ],
)
def test_input_that_is_refused(value: object, complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        read_prompts(value)


def test_prompts_are_read_from_every_shape_that_mlflow_gives() -> None:
    table = pd.DataFrame({"prompt": ["a", "b"]})
    one_row = pd.DataFrame([{"prompt": ["a", "b"]}])
    for value in (table, one_row, ["a", "b"], ("a", "b"), [{"prompt": "a"}, {"prompt": "b"}]):
        assert read_prompts(value) == ["a", "b"]
    assert read_prompts("a") == ["a"]


def test_without_mlflow_the_door_leaves_a_refusal_as_it_is(
    version: VersionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "mlflow.exceptions", raising=False)
    door = _load_pyfunc(str(version.path))
    with pytest.raises(RequestError, match="65 prompts"):
        door.predict(["a"] * 65)
    monkeypatch.setattr(ServedModel, "predict", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError, match="the log of its server says why") as failed:
        door.predict(["a"])
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"top_k": 3}, "unknown parameter 'top_k'; expected one of max_tokens"),
        ({"max_tokens": 0}, "expected 1 to 1024"),
        ({"max_tokens": 1025}, "expected 1 to 1024"),
        ({"max_tokens": 1.5}, "expected a whole number"),
        ({"max_tokens": True}, "expected a whole number"),
        ({"max_tokens": "9"}, "expected a whole number"),
        ({"temperature": math.nan}, "expected a number"),
        ({"temperature": -1}, "temperature=-1"),
        ({"top_p": 0}, "top_p=0"),
        ({"top_p": [1]}, "expected a number"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 1e300}, "seed="),
        ({"max_tokens": 1024}, "more than the 16,384"),
    ],
)
def test_parameters_that_are_refused(params: dict[str, object], complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        read_parameters(params, num_prompts=17)


def test_parameters_have_defaults_and_take_numpys_numbers() -> None:
    config = read_parameters({"max_tokens": np.int64(3), "top_p": None}, num_prompts=1)
    assert (config.max_tokens, config.temperature, config.top_p, config.seed) == (3, 0.8, 0.95, 0)


def test_a_prompt_is_read_as_the_training_text_was(served: ServedModel) -> None:
    given, masked = "Write to ann@example.org or 030 1234567", "Write to <EMAIL> or <PHONE>"
    answers = [served.predict([text], {"max_tokens": 8})["text"][0] for text in (given, masked)]
    assert answers[0] == answers[1]


def test_a_version_whose_text_was_kept_reads_prompts_as_they_are(
    version: VersionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VersionFolder, "config", "data: {pii: keep}")
    text = "Write to ann@example.org"
    assert ServedModel(version)._masking.apply(text) == text


def test_the_model_that_a_version_was_made_from_may_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    from pretrained_models import make_base, write_fine_tuned

    from lmcore.data.tokens.borrowing import borrow_tokenizer
    from lmcore.model.pretrained import shelf

    monkeypatch.setattr(shelf, "_roots", [])
    monkeypatch.delenv("LMCORE_HOME", raising=False)
    base = make_base(tmp_path / "content")
    (tmp_path / "evaluation").mkdir()
    version = assemble_version(
        tmp_path / "data" / "version",
        VersionParts(
            best=write_fine_tuned(base, tmp_path / "best"),
            tokenizer=borrow_tokenizer(ContentStore(tmp_path / "t"), base.path, base.key).path,
            evaluation=tmp_path / "evaluation",
            documents=[],
            sources=[],
            config="name: tuned\n",
            report="",
            card="",
            lineage={},
        ),
    )
    with pytest.raises(IntegrityError, match="set LMCORE_HOME to a home with it"):
        _load_pyfunc(str(version.path))
    beside = tmp_path / "data" / "base"
    shutil.copytree(base.path, beside)
    one = _load_pyfunc(str(version.path)).predict(["the cat"], {"max_tokens": 3})
    # Or in the content of a home.
    shutil.rmtree(beside)
    monkeypatch.setattr(shelf, "_roots", [])
    monkeypatch.setenv("LMCORE_HOME", str(tmp_path))
    assert _load_pyfunc(str(version.path)).predict(["the cat"], {"max_tokens": 3}).equals(one)
