"""Whatever a configuration says, it is one, or one sentence says why it is none."""

import tempfile
from pathlib import Path
from typing import Any, get_args, get_origin

from hypothesis import given
from hypothesis import strategies as st
from odd_inputs import ANY_TEXT, ODD_TEXT, fuzz, odd_configurations
from pydantic import BaseModel

from lmcore.config import RunConfig
from lmcore.config_file import load_config
from lmcore.errors import UserError


def _keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        found.append(f"{prefix}{name}")
        for inner, step in _sections(field.annotation):
            found += _keys(inner, f"{prefix}{name}.{step}")
    return found


def _sections(annotation: Any) -> list[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, "")]
    step = "0." if get_origin(annotation) is list else ""
    return [(m, step + s) for part in get_args(annotation) for m, s in _sections(part)]


KEYS = tuple(dict.fromkeys([*_keys(RunConfig), "preset"]))
OVERRIDES = st.tuples(
    st.sampled_from(KEYS)
    | ANY_TEXT
    | st.sampled_from(["sources.0.path", "sources.9.x", "a." * 99]),
    st.sampled_from(ODD_TEXT) | ANY_TEXT,
).map("=".join)


@fuzz(90)
@given(text=odd_configurations(KEYS), overrides=st.lists(OVERRIDES, max_size=2))
def test_any_configuration_is_read_or_refused(text: str, overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            config = load_config(path, overrides=overrides, started_in=Path(folder))
        except UserError:
            return
        path.write_text(config.to_yaml(), encoding="utf-8")
        assert load_config(path) == config
