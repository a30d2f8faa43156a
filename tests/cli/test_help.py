"""Help: quick, and there for every verb."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mlops.cli.app import app

HEAVY = ("mlflow", "evidently", "prefect", "dvc", "sklearn", "pandas")
VERBS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


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


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_that_begins_with_a_sentence(verb: str) -> None:
    told = CliRunner().invoke(app, [verb, "--help"])
    assert told.exit_code == 0
    help = get_command(app).commands[verb].help  # type: ignore[attr-defined]
    assert help
    assert "Example: mlops" in help or verb == "labels"
    assert "--json" in told.output or verb == "labels"


def test_an_unknown_verb_is_a_usage_error() -> None:
    told = CliRunner().invoke(app, ["trian"])
    assert told.exit_code == 2
    assert "trian" in told.output
