"""Every use of a vendor's underscore name in the library is known, and test_vendor_seams.py holds it."""

from __future__ import annotations

import ast
import importlib
import sys

import pytest

from tests.contract.test_vendor_seams import LIBRARY, SEAMS


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def vendor(module: str) -> bool:
    return module.partition(".")[0] not in {*sys.stdlib_module_names, "mlops", ""}


def uses(text: str, own: set[str]) -> set[str]:
    """The underscore names in a module's text that are not defined in the library."""
    tree = ast.parse(text)
    imported, found = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and vendor(node.module or ""):
            for alias in node.names:
                imported[alias.asname or alias.name] = path = f"{node.module}.{alias.name}"
                if any(map(is_private, path.split("."))):
                    found.add(path)
        elif isinstance(node, ast.Import):
            for alias in filter(lambda alias: vendor(alias.name), node.names):
                imported[alias.asname or alias.name.partition(".")[0]] = alias.asname or alias.name
                if any(map(is_private, alias.name.split("."))):
                    found.add(alias.name)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in imported and is_private(attr):
                found.add(f"{imported[name]}.{attr}")
            case ast.Attribute(attr=attr) if is_private(attr) and attr not in own:
                found.add(f".{attr}")
            case ast.keyword(arg=str(arg)) if is_private(arg) and arg not in own:
                found.add(f"{arg}=")
            case ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(value=word), *_]):
                found |= {f"'{word}'"} if is_private(str(word)) and word not in own else set()
            case ast.ClassDef(bases=bases, body=body):
                for base in (imported[b.id] for b in bases if isinstance(b, ast.Name) and b.id in imported):
                    module, _, name = base.rpartition(".")
                    above = dir(getattr(importlib.import_module(module), name))
                    names = {each.name for each in body if isinstance(each, ast.FunctionDef)}
                    found |= {f"{base}.{each}" for each in names if is_private(each) and each in above}
    return found


def defined(text: str) -> set[str]:
    """The underscore names that a module of the library gives to things of its own."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                found.add(name)
    return found


DOCUMENTED = {"_env_file="}
"""What begins with an underscore and is promised all the same, by pydantic-settings."""


def test_each_underscore_name_of_a_vendor_in_the_library_has_a_test_here() -> None:
    texts = [file.read_text() for file in LIBRARY.rglob("*.py") if "template" not in file.parts]
    own = set().union(*map(defined, texts))
    assert set().union(*(uses(text, own) for text in texts)) - DOCUMENTED == SEAMS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from prefect._internal import x", "prefect._internal.x"),
        ("from dvc.repo import _far as near", "dvc.repo._far"),
        ("import mlflow._deep.down", "mlflow._deep.down"),
        ("import typer\ntyper._click.Abort", "typer._click"),
        ("def f(run):\n    return run.page._token", "._token"),
        ("f(_quietly=True)", "_quietly="),
        ("getattr(run, '_token')", "'_token'"),
        (
            "from dvc.stage.cache import StageCache\nclass C(StageCache):\n def _create_stage(self): ...",
            "dvc.stage.cache.StageCache._create_stage",
        ),
    ],
)
def test_another_use_would_be_found(text: str, name: str) -> None:
    assert uses(text, own=set()) == {name}
