"""The project's own module, loaded by its content: what model.builder names, and registers what it brings.

Its name in Python holds its digest: two versions can be loaded in one process, and a class
in a model file names the very source that it was fitted with.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mlops.errors import ConfigError, DataError
from mlops.files import hashing

__all__ = ["load", "load_name", "load_project", "name"]

_PREFIX = "mlops_model_"


def name(source: bytes) -> str:
    """Return the name that a module of this source goes by."""
    return _PREFIX + hashing.of_bytes(source)[:16]


def load(source: bytes, origin: str) -> ModuleType:
    """Run a module's source once and return it.

    Parameters
    ----------
    origin
        Where the source lies, for tracebacks.
    """
    full = name(source)
    if full in sys.modules:
        return sys.modules[full]
    spec = importlib.util.spec_from_loader(full, loader=None, origin=origin)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    try:
        exec(compile(source, origin, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[full]
        raise
    return module


def load_name(reference: str, root: Path, *, key: str) -> Any:
    """Return what ``FILE.py:NAME`` names in a project.

    Parameters
    ----------
    key
        Where params.yaml names it, for errors.

    Raises
    ------
    ConfigError
        There is no such file, or nothing in it that can be called by that name.
    DataError
        The file cannot be loaded.
    """
    path, _, called = reference.rpartition(":")
    file = root / path
    if not file.is_file():
        raise ConfigError(key, value=reference, allowed="a file of the project")
    try:
        loaded = load(file.read_bytes(), str(file))
    except Exception as exc:
        raise DataError(f"{file} cannot be loaded: {exc}.", remedy="Correct it.") from exc
    member = getattr(loaded, called, None)
    if not callable(member):
        raise ConfigError(key, value=reference, allowed=f"a function or class of {path}")
    return member


def load_project(source: bytes, path: str) -> ModuleType:
    """Import the module that model.builder names, once.

    Raises
    ------
    ConfigError
        The import fails.
    """
    try:
        return load(source, path)
    except Exception as exc:
        raise ConfigError(
            "model.builder", value=path, allowed=f"a module that can be imported; this one raised: {exc}"
        ) from exc
