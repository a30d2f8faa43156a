"""No text is read or written by the machine's encoding: `LC_ALL` decides nothing about a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [file for folder in ("mlops", "flows", "models") for file in sorted((ROOT / folder).rglob("*.py"))]

_BEFORE = {"read_text": 0, "write_text": 1}
"""How many arguments come before the encoding."""


def by_the_machine(source: str) -> Iterator[int]:
    """The lines that read or write text without naming an encoding."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        words = {each.arg: each.value for each in call.keywords}
        if "encoding" in words:
            continue
        if name in {"open", "fdopen", "NamedTemporaryFile", "TemporaryFile", "TextIOWrapper"}:
            if any(letters in {"r", "w", "a", "x", "r+", "a+", "w+", "rt", "wt"} for letters in _texts(call)):
                yield call.lineno
        elif name in {"read_text", "write_text"}:
            of_ours = isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "atomic"
            if not of_ours and len(call.args) <= _BEFORE[name]:
                yield call.lineno
        elif _is_of_a_process(words) or _is_of_a_configuration(call, name):
            yield call.lineno


def _is_of_a_process(words: dict[str | None, ast.expr]) -> bool:
    """Whether a process is started whose output is text."""
    of_text = [words[name] for name in ("text", "universal_newlines") if name in words]
    return any(isinstance(each, ast.Constant) and each.value is True for each in of_text)


def _is_of_a_configuration(call: ast.Call, name: str) -> bool:
    """Whether a configparser, by the name that ours have, reads files."""
    return name == "read" and getattr(getattr(call.func, "value", None), "id", "") == "config"


def _texts(call: ast.Call) -> list[str]:
    arguments = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
    return [
        each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


@pytest.mark.parametrize(
    "line",
    [
        'Path("a").read_text()',
        'Path("a").write_text(text)',
        'Path("a").open("a")',
        'open("a", "w")',
        "subprocess.run(command, text=True)",
        "config.read([folder])",
    ],
)
def test_what_would_read_by_the_machines_encoding_is_seen(line: str) -> None:
    assert list(by_the_machine(line)) == [1]


def test_every_text_has_an_encoding() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in MODULES
        for line in by_the_machine(file.read_text("utf-8"))
    ]
    assert found == []
