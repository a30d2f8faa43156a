"""The project's own model module, loaded by its content.

Its name in Python holds its digest: two versions can be loaded in one process, and a class
in a model file names the very source that it was fitted with.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from mlops.files import hashing

__all__ = ["load", "name"]

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
