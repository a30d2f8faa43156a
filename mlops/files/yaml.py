"""YAML 1.2, as DVC reads it: the one reader and the one writer of it here.

YAML 1.1 takes ``6e-2`` for text, ``on`` for true and ``012`` for ten. Whoever reads a file by 1.1 that
another reads by 1.2 trains with one value and records another.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from ruamel.yaml import YAML

__all__ = ["dump", "parse", "read", "yaml_line"]


def read(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises
    ------
    UsageError
        There is no such file.
    ConfigError
        It is no YAML, or has a key twice; the line is named where it can be.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as exc:
        raise UsageError(f"There is no file {path}.", remedy="Check the path.") from exc
    except UnicodeDecodeError as exc:
        value = "bytes that are not UTF-8"
        raise ConfigError("the file", value=value, allowed="text", file=path.name) from exc
    return parse(text, file=path.name)


def parse(text: str, *, file: str) -> Any:
    """Return the value of a YAML text.

    Parameters
    ----------
    file
        What to call the text in an error.

    Raises
    ------
    ConfigError
        It is no YAML, or has a key twice; the line is named where it can be.
    """
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml().load(text)
    except YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        last = max(1, len(text.rstrip().splitlines()))  # what is not closed ends behind it
        line = f"line {min(mark.line + 1, last)}" if mark else "the file"
        # The first line: ruamel.yaml goes on to say how its own users may allow a key twice.
        problem = str(getattr(exc, "problem", None) or exc).strip().partition("\n")[0]
        allowed = "YAML with each key once" if isinstance(exc, DuplicateKeyError) else "YAML"
        raise ConfigError(line, value=problem, allowed=allowed, file=file) from exc
    except ValueError as exc:  # a date such as 2013-02-30
        raise ConfigError("the file", value=str(exc), allowed="YAML", file=file) from exc


def dump(value: Any) -> str:
    """Return a value as a YAML file, a line for each key and item."""
    return _dumped(value, flow=False)


def yaml_line(value: Any) -> str:
    """Return a value on one line, quoted where it must be."""
    plain = _dumped(value, flow=True)
    if "\n" in plain:  # in double quotes a line break is spelled out
        plain = _dumped(value, flow=True, style='"')
    return plain


def _dumped(value: Any, *, flow: bool, style: str | None = None) -> str:
    yaml: Any = _yaml()
    out = io.StringIO()
    yaml.default_flow_style, yaml.default_style = flow, style
    yaml.sort_base_mapping_type_on_output = False
    yaml.allow_unicode = True
    yaml.width = sys.maxsize if yaml.pure else 2**31 - 1  # libyaml counts in a C int
    yaml.dump(value, out)
    text = out.getvalue()
    return text.removesuffix("\n").removesuffix("\n...") if flow else text


def _yaml() -> YAML:
    from ruamel.yaml import YAML  # not needed by `mlops --help`

    return YAML(typ="safe")  # by libyaml where it is, as DVC's own: five times faster than in Python
