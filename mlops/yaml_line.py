"""A value as it stands on one line of a YAML file that a person reads."""

from __future__ import annotations

import math
from typing import Any

import yaml

__all__ = ["yaml_line"]


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
