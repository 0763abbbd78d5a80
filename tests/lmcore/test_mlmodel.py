from pathlib import Path
from typing import Any

import pytest
import yaml

from lmcore.errors import IntegrityError
from lmcore.mlmodel import FILE, check_mlmodel


def described(**changes: Any) -> dict[str, Any]:
    flavor = {
        "code": None,
        "data": "data/version",
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "loader_module": "lmcore.serving",
        "python_version": "3.11.7",
        "streamable": False,
    }
    return {"flavors": {"python_function": flavor | changes}, "mlflow_version": "3.17.2"}


def write(folder: Path, value: Any) -> None:
    (folder / FILE).write_text(value if isinstance(value, str) else yaml.safe_dump(value))


def test_what_is_written_with_a_version_is_let_through(tmp_path: Path) -> None:
    write(tmp_path, described())
    check_mlmodel(tmp_path)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (described(loader_module="evil"), "loader_module is 'evil'"),
        (described(code="code"), "code is 'code'"),
        (described(data="elsewhere"), "data is 'elsewhere'"),
        (described(predict_fn="__reduce__"), "predict_fn"),
        (described(model_config={"a": 1}), "model_config"),
        (described(python_model="python_model.pkl"), "python_model"),
        ({"flavors": {**described()["flavors"], "sklearn": {}}}, "flavors"),
        ({"flavors": {"python_function": {"env": None}}}, "loader_module is 'None'"),
        ({"flavors": ["python_function"]}, "flavors"),
        ({}, "flavors is 'None'"),
        ("[" * 1_500, "cannot be read"),
        ("a: &x [1]\nb: *x\n", "cannot be read"),
        ("!!python/object/apply:os.system [true]", "cannot be read"),
        ("\0", "cannot be read"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, value: Any, told: str) -> None:
    write(tmp_path, value)
    with pytest.raises(IntegrityError) as refused:
        check_mlmodel(tmp_path)
    assert told in str(refused.value)
    assert "nothing was loaded" in str(refused.value)


def test_a_missing_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="cannot be read"):
        check_mlmodel(tmp_path)
