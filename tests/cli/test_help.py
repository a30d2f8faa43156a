"""Help: quick, and there for every command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mlops.cli.program import app

HEAVY = ("mlflow", "evidently", "prefect", "dvc", "sklearn", "pandas")


def within(group: Any, *above: str) -> Iterator[tuple[str, Any]]:
    """Each command as a person types it, with its command; a group is one where it acts by itself."""
    for name, command in group.commands.items():
        words = (*above, name)
        inside = hasattr(command, "commands")
        if not inside or command.invoke_without_command:
            yield " ".join(words), command
        if inside:
            yield from within(command, *words)


COMMANDS = dict(within(get_command(app)))


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from mlops.cli import main\n"
        "sys.argv = ['mlops', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"sys.stderr.write(' '.join(sorted(set({HEAVY}) & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "train" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example_and_speaks_to_machines(name: str) -> None:
    told = CliRunner().invoke(app, [*name.split(), "--help"])
    assert told.exit_code == 0
    assert f"Example: mlops {name}" in COMMANDS[name].help
    assert "--json" in told.output
    # The list of commands shows it as it stands, a line where it breaks.
    assert "\n" not in COMMANDS[name].help.partition("\n\n")[0]


def test_the_commands_of_groups_are_among_them() -> None:
    assert {"train", "labels add"} <= set(COMMANDS)


def test_an_unknown_command_is_a_usage_error() -> None:
    told = CliRunner().invoke(app, ["trian"])
    assert told.exit_code == 2
    assert "trian" in told.output
