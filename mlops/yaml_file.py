"""A YAML file that a person writes, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mlops.errors import ConfigError, UsageError

__all__ = ["read"]


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
