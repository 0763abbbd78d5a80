"""YAML as configurations may be written: one mapping, small, no aliases, no key twice.

Whatever else a text can do to the library (numbers without a digit, months without a name, lists
in lists without end, values by the million) is one error here.

And where the values lie that come with the project.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lmcore.errors import ConfigError
from lmcore.settings import short

MAX_CONFIG_BYTES = 1 << 20
#: Values of one document; each takes some 700 bytes of memory and 20 microseconds.
MAX_VALUES = 500_000
#: Of a number; one in parts of 60 takes the square of its length.
MAX_NUMBER_CHARACTERS = 100
_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """A file of the values that come with the project: `configs` in the tree, ours when installed.

    Found beside this file and never by import, so no other `configs` takes its place.
    """
    installed = _PACKAGE / "configs"
    return (installed if installed.is_dir() else _PACKAGE.parent / "configs") / name


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without aliases (a small file could expand without bound) or repeated keys."""

    num_values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.num_values += 1
        if self.num_values > MAX_VALUES:
            raise ConfigError(f"more than {MAX_VALUES:,} values")
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise ConfigError(f"line {event.start_mark.line + 1}: YAML aliases are not supported")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConfigError(f"line {key_node.start_mark.line + 1}: key {key!r} is not text")
            if key in seen:
                raise ConfigError(f"line {key_node.start_mark.line + 1}: key {key!r} is repeated")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (yaml.YAMLError, ConfigError, RecursionError):
            raise
        except Exception as error:  # the library's own, where a value is none of its kind
            raise ConfigError(
                f"line {node.start_mark.line + 1}: {short(node.value)} is no"
                f" {node.tag.rpartition(':')[2]}"
            ) from error

    def construct_number(self, node: yaml.ScalarNode) -> Any:
        if len(node.value) > MAX_NUMBER_CHARACTERS:
            raise ConfigError(
                f"line {node.start_mark.line + 1}: a number of {len(node.value):,} characters;"
                f" expected at most {MAX_NUMBER_CHARACTERS}"
            )
        is_float = node.tag.endswith(":float")
        return self.construct_yaml_float(node) if is_float else self.construct_yaml_int(node)

    def construct_moment(self, node: yaml.ScalarNode) -> Any:
        try:
            return self.construct_yaml_timestamp(node)
        except (ValueError, OverflowError):  # what looks like a date and is none is text
            return node.value


for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    _StrictLoader.add_constructor(_tag, _StrictLoader.construct_number)
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _StrictLoader.construct_moment)


def parse_yaml(text: str) -> Any:
    """Any value, written as YAML.

    Raises:
        ConfigError: If it has aliases or a key twice, is nested too deeply, holds too many values,
            or a value that is none of its kind.
        YAMLError: If it is no YAML.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except RecursionError as error:
        raise ConfigError("not valid YAML (nested too deeply)") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"a value that is none of its kind ({str(error)[:100]})") from error


def without_odd_characters(value: Any, *, key: str = "") -> None:
    """See that all text of a configuration is text.

    Raises:
        ConfigError: If some of it holds a NUL or half of a character (a lone surrogate), which no
            file, database or page could take.
    """
    if isinstance(value, str):
        found = next((c for c in value if c == "\0" or "\ud800" <= c <= "\udfff"), None)
        if found is not None:
            raise ConfigError(
                f"{key}={short(value)} holds the character U+{ord(found):04X}, which is no text;"
                " take it out"
            )
    elif isinstance(value, dict):
        for name, inner in value.items():
            without_odd_characters(name, key=f"a key of {key}" if key else "a key")
            without_odd_characters(inner, key=f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            without_odd_characters(inner, key=f"{key}.{number}")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        ConfigError: If it is missing, too large, not UTF-8, not YAML or not a mapping.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_CONFIG_BYTES + 1)
    except (OSError, ValueError) as error:  # a path that holds NUL is none
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path}: cannot be read ({reason}); give the path of a YAML file"
        ) from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_CONFIG_BYTES} bytes; is it a config at all?")
    try:
        value = parse_yaml(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text at byte {error.start}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ConfigError(f"{path}: not valid YAML{where} ({problem})") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a mapping with keys such as name and sources")
    try:
        without_odd_characters(value)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return value
