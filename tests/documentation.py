"""The programs that make pages of docs/, as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

__all__ = ["loaded"]

DOCS = Path(__file__).parents[1] / "docs"


def loaded(program: str) -> ModuleType:
    """Import ``docs/PROGRAM.py``."""
    spec = importlib.util.spec_from_file_location(f"docs_{program}", DOCS / f"{program}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
