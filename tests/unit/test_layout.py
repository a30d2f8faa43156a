"""The layout of mlops/: a command is found by its name, and no room grows into a hall."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from typer.main import get_command

from mlops.cli.program import app

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "mlops"
LINES_OF_A_FILE, LINES_OF_A_FUNCTION, MEDIAN = 400, 60, 150
METHODS_OF_A_PROTOCOL = 5
REASON = "Long on purpose:"
"""What the docstring of a longer file or function opens its reason with."""
OF_A_COMMAND = {".", "cli", "project", "orchestration/tasks", "stages"}


def commands(group: Any, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command as its words, with what typer runs for it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *above, name)
        if command.callback is not None and (
            not hasattr(command, "commands") or command.invoke_without_command
        ):
            yield (*above, name), command


COMMANDS = dict(commands(get_command(app)))


def homes(words: tuple[str, ...]) -> list[str]:
    """The module names that a command may have: `data_push` or, of a small group, `data`."""
    return list(dict.fromkeys(["_".join(words), words[0]]))


def work_of(words: tuple[str, ...], root: Path = ROOT) -> list[str]:
    """The modules that do the work: in project/, or, of a flow, in orchestration/tasks/."""
    found = []
    for name in homes(words):
        text = (root / "mlops" / "cli" / f"{name}.py").read_text() if _is(root, f"cli/{name}.py") else ""
        if _is(root, f"project/{name}.py") and f"from mlops.project.{name} import" in text:
            found.append(f"project/{name}.py")
        flow = root / "flows" / f"{name}.py"
        runs = (
            f'run_flow(context.obj, "{name}"' in text
            and flow.is_file()
            and f"tasks.{name}." in flow.read_text()
        )
        if _is(root, f"orchestration/tasks/{name}.py") and runs:
            found.append(f"orchestration/tasks/{name}.py")
    return found


def _is(root: Path, path: str) -> bool:
    return (root / "mlops" / path).is_file()


def modules(house: Path) -> dict[str, ast.Module]:
    return {path.relative_to(house).as_posix(): ast.parse(path.read_text()) for path in house.rglob("*.py")}


@pytest.fixture(scope="module")
def parsed() -> dict[str, ast.Module]:
    return modules(HOUSE)


def too_long(house: Path) -> list[str]:
    """Files and functions over the limits whose docstring gives no reason."""
    found = []
    for name, tree in modules(house).items():
        lines = (house / name).read_text().count("\n")
        if lines > LINES_OF_A_FILE and REASON not in (ast.get_docstring(tree) or ""):
            found.append(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > LINES_OF_A_FUNCTION and REASON not in (ast.get_docstring(node) or ""):
                    found.append(f"{name} {node.name}")
    return sorted(found)


def shared_names(names: list[str], of_commands: set[str]) -> dict[str, list[str]]:
    """Module names that stand in several packages, but for a command's in the places that are its."""
    packages: dict[str, list[str]] = {}
    for name in names:
        path = Path(name)
        module = path.parent if path.name == "__init__.py" else path.with_suffix("")
        if module.name and path.name != "__main__.py":
            packages.setdefault(module.name, []).append(module.parent.as_posix())
    return {
        name: sorted(where)
        for name, where in packages.items()
        if len(where) > 1 and not (name in of_commands and set(where) <= OF_A_COMMAND)
    }


def imports(parsed: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """What each module imports of mlops/ as it loads: not inside functions, not for types only."""
    dotted = {_dotted(name) for name in parsed}
    return {
        _dotted(name): {target for node in tree.body for target in _targets(node, dotted)} - {_dotted(name)}
        for name, tree in parsed.items()
    }


def _dotted(name: str) -> str:
    return ".".join(["mlops", *Path(name).with_suffix("").parts]).removesuffix(".__init__")


def _targets(node: ast.AST, known: set[str]) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            yield from {full if full in known else node.module} & known
    elif isinstance(node, ast.Import):
        yield from {alias.name for alias in node.names} & known
    elif isinstance(node, ast.Try | ast.ClassDef) or (
        isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test)
    ):
        for inner in ast.iter_child_nodes(node):
            yield from _targets(inner, known)


def wide_protocols(parsed: Mapping[str, ast.Module]) -> list[str]:
    """Protocols that whoever implements one has to write many methods for."""
    return [
        f"{name} {node.name}"
        for name, tree in parsed.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and "Protocol" in map(ast.unparse, node.bases)
        and sum(isinstance(each, ast.FunctionDef) for each in node.body) > METHODS_OF_A_PROTOCOL
    ]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_found_by_its_name(words: tuple[str, ...]) -> None:
    assert COMMANDS[words].callback.__module__ in {f"mlops.cli.{name}" for name in homes(words)}
    assert work_of(words), f"nothing in project/ or orchestration/tasks/ is named {homes(words)} and called"


def test_every_command_stands_in_a_panel_of_the_help() -> None:
    top = get_command(app).commands.values()  # type: ignore[attr-defined]
    assert {command.rich_help_panel for command in top} == {
        "Project", "Data", "Models", "Predictions", "Maintenance",
    }  # fmt: skip


def test_a_command_whose_work_has_another_name_is_found(tmp_path: Path) -> None:
    for folder in ("mlops/cli", "mlops/project", "mlops/orchestration/tasks", "flows"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mlops/cli/train.py").write_text('run_flow(context.obj, "train")\n')
    (tmp_path / "flows/train.py").write_text("tasks.train.reproduce(ROOT)\n")
    assert work_of(("train",), tmp_path) == []
    (tmp_path / "mlops/orchestration/tasks/train.py").touch()
    assert work_of(("train",), tmp_path) == ["orchestration/tasks/train.py"]
    (tmp_path / "mlops/cli/gc.py").write_text("from mlops.project.housekeeping import collect\n")
    (tmp_path / "mlops/project/gc.py").touch()
    assert work_of(("gc",), tmp_path) == []


def test_module_names_are_unique_but_for_those_of_commands(parsed: dict[str, ast.Module]) -> None:
    assert (
        shared_names(list(parsed), {"_".join(words) for words in COMMANDS} | {words[0] for words in COMMANDS})
        == {}
    )


def test_a_shared_name_is_found() -> None:
    names = [
        "cli/gc.py",
        "project/gc.py",
        "data/lake.py",
        "files/lake.py",
        "stages/__main__.py",
        "data/__init__.py",
    ]
    assert shared_names(names, {"gc"}) == {"lake": ["data", "files"]}
    assert shared_names(["cli/gc.py", "data/gc.py"], {"gc"}) == {"gc": ["cli", "data"]}
    assert shared_names(["data/__init__.py", "cli/data.py"], set()) == {"data": [".", "cli"]}


def test_files_and_functions_are_short_or_say_why_not() -> None:
    assert too_long(HOUSE) == []
    sizes = [path.read_text().count("\n") for path in HOUSE.rglob("*.py") if path.name != "__init__.py"]
    assert median(sizes) <= MEDIAN


def test_a_long_file_and_a_long_function_are_found_unless_they_say_why(tmp_path: Path) -> None:
    body = "def long():\n    '''Do.{}'''\n" + "    x = 1\n" * LINES_OF_A_FUNCTION
    (tmp_path / "one.py").write_text(body.format(""))
    (tmp_path / "two.py").write_text(f'"""Two. {REASON} a table."""\n' + "x = 1\n" * LINES_OF_A_FILE)
    (tmp_path / "three.py").write_text(body.format(f" {REASON} a table.") + "x = 1\n" * LINES_OF_A_FILE)
    assert too_long(tmp_path) == ["one.py long", "three.py"]


def test_a_protocol_asks_for_few_methods(parsed: dict[str, ast.Module]) -> None:
    assert wide_protocols(parsed) == []
    methods = "".join(f"    def m{number}(self): ...\n" for number in range(METHODS_OF_A_PROTOCOL + 1))
    assert wide_protocols({"wide.py": ast.parse(f"class Wide(Protocol):\n{methods}")}) == ["wide.py Wide"]


def test_no_modules_import_each_other_as_they_load(parsed: dict[str, ast.Module]) -> None:
    TopologicalSorter(imports(parsed)).prepare()


def test_a_cycle_is_found() -> None:
    parsed = {
        "data/lake.py": ast.parse("from mlops.data import version"),
        "data/version.py": ast.parse("try:\n    import mlops.data.lake\nexcept ImportError: ..."),
        "data/late.py": ast.parse(
            "def f():\n    import mlops.data.lake\nif TYPE_CHECKING:\n    import mlops.cli"
        ),
    }
    assert imports(parsed)["mlops.data.late"] == set()
    with pytest.raises(CycleError):
        TopologicalSorter(imports(parsed)).prepare()


def test_the_contracts_name_every_module_of_what_they_order() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [contract for contract in contracts if contract["type"] == "layers"]
    assert layers[0]["containers"] == ["mlops"]
    assert all(contract.get("exhaustive") for contract in layers)


@cache
def _text(tree: ast.Module) -> str:
    return ast.unparse(tree)


def dead_imports(text: str, parsed: Mapping[str, ast.Module]) -> list[str]:
    """Names that a text imports from a module of mlops/ and that are not there."""
    known = {_dotted(name): tree for name, tree in parsed.items()}
    found = []
    for module, names in re.findall(
        r"from (mlops(?:\.\w+)*) import (\(.*?\)|[\w ,]+)", text, flags=re.DOTALL
    ):
        for name in re.findall(r"(\w+)(?: as \w+)?", names):
            top = _text(known[module]) if module in known else ""
            if f"{module}.{name}" not in known and not re.search(rf"\b{name}\b", top):
                found.append(f"{module}.{name}")
    return found


@pytest.mark.parametrize("suffix", [".jinja", ".py", ".md"])
def test_what_a_template_a_page_or_a_program_in_a_string_imports_is_there(
    suffix: str, parsed: dict[str, ast.Module]
) -> None:
    folders = ["mlops", "docs", "benchmarks", "demo", "flows", "models", "tests"]
    texts = [file for folder in folders for file in (ROOT / folder).rglob(f"*{suffix}")]
    texts += ROOT.glob(f"*{suffix}")
    texts = [file for file in texts if file != Path(__file__)]
    assert texts
    dead = {str(file.relative_to(ROOT)): dead_imports(file.read_text(), parsed) for file in texts}
    assert {file: names for file, names in dead.items() if names} == {}


def test_a_dead_import_is_found(parsed: dict[str, ast.Module]) -> None:
    text = "from mlops.lake import Lake\nfrom mlops.data.lake import (\n    Lake,\n    Pond,\n)\n"
    text += "from mlops.data import lake"
    assert dead_imports(text, parsed) == ["mlops.lake.Lake", "mlops.data.lake.Pond"]
