"""YAML that a person writes and reads: a file read, a value written on one line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from mlops.errors import ConfigError, UsageError

__all__ = ["read", "yaml_line"]


def read(path: Path) -> Any:
    """Return what a YAML file says.

    Raises
    ------
    UsageError
        There is no such file.
    ConfigError
        It is no YAML; the line is named where it can be.
    """
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise UsageError(f"There is no file {path}.", remedy="Check the path.") from exc
    except UnicodeDecodeError as exc:
        given = "bytes that are no UTF-8"
        raise ConfigError("the file", given=given, allowed="text", file=path.name) from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else "the file"
        given = getattr(exc, "problem", str(exc))
        raise ConfigError(line, given=given, allowed="YAML", file=path.name) from exc


def yaml_line(value: Any) -> str:
    """Return a value such that every reader of YAML takes it for itself, quoted where it must be."""
    plain = _dumped(value)
    # YAML 1.1 takes 1e3 for text and 1.2 for a number; and in quotes a line break is spelled out.
    if "\n" in plain or (isinstance(value, str) and value[:1] in tuple("0123456789+-.")):
        return _dumped(value, style='"')
    return plain


def _dumped(value: Any, style: str | None = None) -> str:
    text = yaml.safe_dump(
        value,
        default_style=style,
        default_flow_style=True,
        sort_keys=False,
        width=math.inf,
        allow_unicode=True,
    )
    return str(text).removesuffix("\n").removesuffix("\n...")
