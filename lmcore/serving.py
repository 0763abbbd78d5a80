"""Answer prompts with a registered version: what MLflow loads, without knowing MLflow.

In: the folder of a version, then tables with a column `prompt`.  Out: tables with a column `text`.
A version for sentiment, translation or summarization reads a column `text` and answers with
`output`, `probabilities` (JSON, or nothing), `truncated` and `note`.
`_load_pyfunc` is the name that MLflow's `loader_module` convention asks for, so the registry needs
no pickle and no code of its own: weights and JSON are data, and this module reads them.

A server is asked by strangers: every size is bounded here, and what is refused is refused with a
sentence before any work is done.  MLflow's server answers any error but its own with the whole
stack, paths and all; so a version that MLflow loads refuses in the class of MLflow's own errors.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.counted import counted
from lmcore.errors import UserError
from lmcore.mlmodel import FILE, check_mlmodel
from lmcore.tasks.task import LANGUAGE_MODELLING
from lmcore.version_folder import VersionFolder, open_version

if TYPE_CHECKING:
    import pandas as pd

    from lmcore.model.sampling import GenerationConfig

logger = logging.getLogger(__name__)

#: Where a version may have the model that it was made from, as that one's content folder.
BESIDE = "base"
MAX_PROMPTS = 64
MAX_PROMPT_BYTES = 64 * 1024
#: Of all prompts of a request together; a request holds up all others.
MAX_REQUEST_BYTES = 256 * 1024
MAX_TOKENS = 1024
MAX_ANSWER_TOKENS = 16_384  # of one request, all prompts together

#: Name to (type, default): also the parameters of the registered signature.
PARAMETERS: Mapping[str, tuple[type[int] | type[float], int | float]] = {
    "max_tokens": (int, 200),
    "temperature": (float, 0.8),
    "top_p": (float, 0.95),
    "seed": (int, 0),
}


#: Columns of the answer of a task, and their types.
ANSWER_COLUMNS = {
    "output": "string",
    "probabilities": "string",
    "truncated": "boolean",
    "note": "string",
}


def input_column(task: str) -> str:
    """Name of the column that a model for this task reads."""
    return "prompt" if task == LANGUAGE_MODELLING.name else "text"


class RequestError(UserError):
    """A request that is refused: malformed, or larger than this server allows."""


class ServedModel:
    """A loaded version; one request at a time, because the work is bound by the processor."""

    def __init__(self, version: VersionFolder) -> None:
        self._model = version.load_model()
        self._tokenizer = version.load_tokenizer()
        self._forbidden = version.forbidden()
        self._masking = version.load_masking()
        self._lock = threading.Lock()

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Continue each prompt.

        Args:
            model_input: A table with the column `prompt`, or a list of prompts.
            params: max_tokens, temperature, top_p, seed; the answer is a function of the
                prompt, its place in the table, and these.

        Returns:
            A table with the column `text`: the continuations, without the prompts.

        Raises:
            RequestError: If the input is malformed or too large.
        """
        import pandas as pd

        from lmcore.model.generation import generate_batch

        prompts = read_prompts(model_input)
        config = replace(
            read_parameters(params or {}, num_prompts=len(prompts)), forbidden=self._forbidden
        )
        with self._lock:
            masked = [self._masking.apply(prompt) for prompt in prompts]
            answers = generate_batch(self._model, self._tokenizer, masked, config)
        return pd.DataFrame({"text": [answer.text for answer in answers]})


class ServedTask:
    """A loaded version that classifies, translates or summarizes."""

    def __init__(self, version: VersionFolder) -> None:
        self._predictor = version.load_predictor()
        self._lock = threading.Lock()

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Answer each text.

        Args:
            model_input: A table with the column `text`, or a list of texts.
            params: There are none.

        Returns:
            A table with the columns of `ANSWER_COLUMNS`, in the order of the texts.

        Raises:
            RequestError: If the input is malformed or too large.
        """
        import pandas as pd

        if params:
            raise RequestError(f"unknown parameter {sorted(params)[0]!r}; expected none")
        texts = read_prompts(model_input, column="text")
        try:
            with self._lock:
                found = self._predictor.predict(texts)
        except UserError as error:
            raise RequestError(str(error)) from error
        rows = [
            {
                "output": answer.output,
                "probabilities": ""
                if answer.probabilities is None
                else json.dumps(answer.probabilities, ensure_ascii=False),
                "truncated": answer.truncated,
                "note": answer.note,
            }
            for answer in found
        ]
        return pd.DataFrame(rows, columns=list(ANSWER_COLUMNS))


def _load_pyfunc(data_path: str) -> MLflowDoor:
    """MLflow's entry point: verify the folder of a version, then load it.

    MLflow has read its own description of the model by then, and done what that says; see
    `lmcore.mlmodel`.

    The pretrained model that it may have been made from is looked for beside it, in a folder
    `BESIDE`, and in the content of LMCORE_HOME.

    Raises:
        IntegrityError: If anything in the folder differs from its manifest, or that model is
            nowhere, damaged, or another one.
    """
    if (Path(data_path).parents[1] / FILE).exists():
        check_mlmodel(Path(data_path).parents[1])
    version = open_version(Path(data_path))
    if (wanted := version.base()) is not None:
        from lmcore.model.pretrained import shelf
        from lmcore.model.pretrained.base import check_base

        shelf.use(Path(data_path).parent / BESIDE)
        check_base(shelf.verified(shelf.find(wanted.key)), wanted)
    return MLflowDoor(ServedTask(version) if version.is_task else ServedModel(version))


class MLflowDoor:
    """A loaded version as MLflow asks it: errors are its own, and say nothing of this place."""

    def __init__(self, model: ServedModel | ServedTask) -> None:
        self._model = model

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Answer each text.

        Raises:
            MlflowException: If the request is refused (HTTP status 400), or the model fails (500).
        """
        try:
            return self._model.predict(model_input, params)
        except RequestError as error:
            raise _in_the_words_of_mlflow(error, refused=True) from None
        except Exception as error:
            logger.exception("a request failed")
            failed = RuntimeError("the model could not answer; the log of its server says why")
            raise _in_the_words_of_mlflow(failed, refused=False) from error


def _in_the_words_of_mlflow(error: Exception, *, refused: bool) -> Exception:
    # Whoever calls has imported it already; without MLflow an error stays what it is.
    mlflow = sys.modules.get("mlflow.exceptions")
    if mlflow is None:
        return error
    made = mlflow.MlflowException
    found = made.invalid_parameter_value(str(error)) if refused else made(str(error))
    assert isinstance(found, Exception)
    return found


def smoke_test(version: VersionFolder) -> None:
    """Load a version and let it answer once; whatever is broken raises.

    Raises:
        IntegrityError: If the weights or the tokenizer cannot be read.
    """
    answer = (
        ServedTask(version).predict(["The"])
        if version.is_task
        else ServedModel(version).predict(["The"], {"max_tokens": 2})
    )
    assert len(answer) == 1


def read_prompts(model_input: Any, *, column: str = "prompt") -> list[str]:
    """The prompts of a request.

    Args:
        model_input: A table, one text, or a list of texts or records. One cell of a table of one
            row may be a list of texts.
        column: Where the texts of a table are.

    Raises:
        RequestError: If there is no such column, or a prompt is not a text of allowed size.
    """
    if hasattr(model_input, "columns"):
        if column not in model_input.columns:
            raise RequestError(
                f"the input has the columns {[str(name) for name in model_input.columns][:10]};"
                f" expected a column {column!r}"
            )
        values: Iterable[Any] = model_input[column].tolist()
        # MLflow makes one row of a dict of lists of texts; the cell is the list that was meant.
        if len(model_input) == 1 and isinstance(model_input[column].iloc[0], list):
            (values,) = values
    elif isinstance(model_input, str):
        values = [model_input]
    elif isinstance(model_input, list | tuple):
        values = [
            item[column] if isinstance(item, dict) and set(item) == {column} else item
            for item in model_input
        ]
    else:
        raise RequestError(
            f"the input is a {type(model_input).__name__}; expected a table with a column"
            f" {column!r}"
        )
    prompts = list(values)
    if len(prompts) > MAX_PROMPTS:
        raise RequestError(f"{len(prompts)} prompts; at most {MAX_PROMPTS} fit in one request")
    total = 0
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            raise RequestError(f"prompt {index} is a {type(prompt).__name__}; expected a text")
        try:
            size = len(prompt.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise RequestError(f"prompt {index} is not valid Unicode ({error.reason})") from error
        if size > MAX_PROMPT_BYTES:
            raise RequestError(f"prompt {index} has {size} bytes; at most {MAX_PROMPT_BYTES}")
        total += size
        if total > MAX_REQUEST_BYTES:
            raise RequestError(
                f"the prompts together have more than {MAX_REQUEST_BYTES} bytes; ask for them in"
                " several requests"
            )
    return prompts


def read_parameters(params: Mapping[str, Any], *, num_prompts: int) -> GenerationConfig:
    """How to draw, from the parameters of a request.

    Raises:
        RequestError: If a parameter is unknown, of the wrong type, or out of range.
    """
    from lmcore.errors import ConfigError
    from lmcore.model.sampling import GenerationConfig

    if unknown := sorted(set(params) - set(PARAMETERS)):
        raise RequestError(
            f"unknown parameter {unknown[0]!r}; expected one of {', '.join(PARAMETERS)}"
        )
    values = {}
    for name, (kind, default) in PARAMETERS.items():
        value = params.get(name)
        value = default if value is None else value
        values[name] = _number(name, value, kind)
    max_tokens = int(values["max_tokens"])
    if not 0 < max_tokens <= MAX_TOKENS:
        raise RequestError(f"max_tokens={max_tokens}; expected 1 to {MAX_TOKENS}")
    if max_tokens * num_prompts > MAX_ANSWER_TOKENS:
        raise RequestError(
            f"{counted(num_prompts, 'prompt')} of {counted(max_tokens, 'token')}, more than the"
            f" {MAX_ANSWER_TOKENS:,} of one request; ask for fewer"
        )
    try:
        return GenerationConfig(
            max_tokens=max_tokens,
            temperature=values["temperature"],
            top_p=values["top_p"],
            seed=int(values["seed"]),
        )
    except ConfigError as error:
        raise RequestError(str(error)) from error


def _number(name: str, value: Any, kind: type[int] | type[float]) -> int | float:
    # numpy's scalars too: MLflow converts parameters to the types of the signature.
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not math.isfinite(value) or (kind is int and value != int(value)):
        expected = "a whole number" if kind is int else "a number"
        raise RequestError(f"{name}={str(value)[:40]!r}; expected {expected}")
    return kind(value)
