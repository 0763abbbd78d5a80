"""Configurations are plain YAML: one small mapping, and nothing that surprises."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore import yaml_file
from lmcore.errors import ConfigError
from lmcore.yaml_file import MAX_CONFIG_BYTES, parse_yaml, read_yaml, shipped

ROOT = Path(__file__).parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "not valid YAML"),
        ("- a", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: &x 1\nb: *x", "aliases are not supported"),
        ("name: a\nname: b", "'name' is repeated"),
        ("1: a", "is not text"),
        ("a: !!python/object/apply:os.system [id]", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_hostile_yaml_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        read_yaml(write(tmp_path, text))


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_yaml(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="larger than"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 4: key 'c' is repeated"),
        ("a: 1\nb: [{1: x}]\n", "line 2: key 1 is not text"),
        ("a: 1\nno: x\n", "line 2: key False is not text"),
        ("a: &x [1]\nb:\n  - *x\n", "line 3: YAML aliases are not supported"),
        ("a: 1\nb: 'open\n", "not valid YAML at line"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ('a: 1\nb: !!int ""', "line 2: '' is no int"),
        ("a: !!timestamp x", "line 1: 'x' is no timestamp"),
        ("a: !!map x", "none of its kind"),
        ("a: " + "1:" * 100_000 + "1.5", "line 1: a number of 200,003 characters"),
        ("a: " + "1" * 5000, "line 1: a number of 5,000 characters"),
        ('a:\n  - b: "\\ud800"', "a.0.b='\\ud800' holds the character U+D800"),
        ('"\\0": 1', "a key='\\x00' holds the character U+0000"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_may_be_as_large_as_the_bound_and_no_larger(tmp_path: Path) -> None:
    path = write(tmp_path, "a: 1\n#" + "x" * (MAX_CONFIG_BYTES - 6))
    assert path.stat().st_size == MAX_CONFIG_BYTES
    assert read_yaml(path) == {"a": 1}
    with path.open("a") as stream:
        stream.write("x")
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        read_yaml(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab: #'\"é\n-*&!", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:", max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=50)
@given(VALUES)
def test_plain_values_are_read_as_they_were_written(value: Any) -> None:
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    assert parse_yaml(yaml.dump(value, Dumper=Plain)) == value
    assert parse_yaml(yaml.dump(value, Dumper=Plain, default_flow_style=True)) == value


def test_an_empty_text_is_no_value_and_a_broken_one_the_librarys_error() -> None:
    assert parse_yaml("") is None
    with pytest.raises(yaml.YAMLError):
        parse_yaml("[1")


NAMES = ("demo.yaml", "gates.yaml", "monitor.yaml", "presets.yaml")

ASKED = """
import configs, sys
from lmcore.config_file import load_config, presets
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.drift.config import MonitorConfig
GatesConfig.default(), MonitorConfig.default(), presets()
print(configs.OWN, load_config().name)
"""


def test_a_folder_of_the_users_and_ours_do_not_meet(tmp_path: Path) -> None:
    theirs = tmp_path / "configs"
    theirs.mkdir()
    (theirs / "__init__.py").write_text("OWN = 'theirs'\n")
    for name in NAMES:
        (theirs / name).write_text("name: theirs\n")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASKED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["theirs", "annual-messages"], done.stderr[-2000:]


def test_values_are_beside_the_package_in_a_checkout_and_inside_it_when_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [shipped(name) for name in NAMES] == [ROOT / "configs" / name for name in NAMES]
    installed = tmp_path / "site-packages" / "lmcore"
    for folder in (installed / "configs", installed.parent / "configs"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(yaml_file, "_PACKAGE", installed)
    # Another distribution may have a package of that name; a file that ours lacks is missing.
    assert shipped("none.yaml") == installed / "configs" / "none.yaml"


def test_values_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a: [1, 2, 3]")
    assert read_yaml(path) == {"a": [1, 2, 3]}
    monkeypatch.setattr("lmcore.yaml_file.MAX_VALUES", 5)
    with pytest.raises(ConfigError, match="more than 5 values"):
        read_yaml(path)
