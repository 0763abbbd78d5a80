"""Whatever a configuration says, it is one, or one sentence says why it is none."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from odd_inputs import ANY_TEXT, ODD_TEXT, fuzz, odd_configurations

from lmcore.config_file import load_config
from lmcore.config_reference import keys
from lmcore.config_schema import config_schema
from lmcore.errors import UserError

FORM = Draft202012Validator(config_schema())
KEYS = tuple(key.name for key in keys())
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
    # Nor may an editor find fault with what a run takes.
    assert list(FORM.iter_errors(config.model_dump(mode="json"))) == []
