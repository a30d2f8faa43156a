"""A feature type or a task is asked, never told apart by its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[2] / "mlops"
NAMES = {"number", "category", "boolean", "text", "date", "binary", "multiclass", "regression"}
ALLOWED = {
    "adapters/mlflow/mlmodel.py",  # JSON Schema's words
    "data/cursor.py",  # the keys of a stored position
    "scaffold/columns.py",  # what pandas calls values
    "serving/openapi.py",  # JSON Schema's words
}


def branches(code: str) -> Iterator[str]:
    """The comparisons with such a name, and the mappings by it."""
    for node in ast.walk(ast.parse(code)):
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.Compare):
            for part in (node.left, *node.comparators):
                parts += part.elts if isinstance(part, ast.Tuple | ast.List | ast.Set) else [part]
        elif isinstance(node, ast.Dict):
            parts += node.keys
        if any(isinstance(part, ast.Constant) and part.value in NAMES for part in parts):
            yield ast.unparse(node)


def test_no_module_but_the_types_own_branches_on_a_types_name() -> None:
    found = {
        path.relative_to(HOUSE).as_posix()
        for path in HOUSE.rglob("*.py")
        if path.relative_to(HOUSE).parts[0] not in ("feature_types", "task_types")
        and any(branches(path.read_text()))
    }
    assert found == ALLOWED


def test_a_branch_on_a_name_is_found() -> None:
    compared = 'kind in ("number", "flag") or task == "binary"'
    assert len(list(branches(compared))) == 2
    assert len(list(branches('{"text": 1}[kind]'))) == 1
    assert not list(branches('{"type": "number"}'))
