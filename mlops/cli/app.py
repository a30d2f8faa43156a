"""The program: its options, how errors leave it, and the verbs it is made of."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlops import __version__
from mlops.cli import ask, data, learn, life
from mlops.cli.output import Screen
from mlops.errors import MlopsError

__all__ = ["app", "main"]

app = typer.Typer(
    name="mlops",
    help="Keep a model fresh: version data, train, watch for drift, retrain, redeploy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def program(
    context: typer.Context,
    project: Annotated[
        Path, typer.Option("--project", "-C", help="The project's folder, or one within it.")
    ] = Path(),
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Say where the project is, once for every verb."""
    if version:
        sys.stdout.write(f"mlops {__version__}\n")
        raise typer.Exit
    context.obj = Screen(project)


for module in (life, data, learn, ask):
    module.add_to(app)


def main() -> None:
    """Run the program; exit 0 done, 1 failed, 2 usage, 3 refused by a gate or policy."""
    _log_to_terminal()
    try:
        app()
    except MlopsError as exc:
        _complain(exc)
        sys.exit(exc.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command again goes on\n")
        sys.exit(130)


def _complain(exc: MlopsError) -> None:
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"error": exc.message, "remedy": exc.remedy}) + "\n")
        return
    sys.stderr.write(f"error: {exc.message}\n")
    if exc.remedy:
        sys.stderr.write(f"       {exc.remedy}\n")


def _log_to_terminal() -> None:
    """Show progress, a line for each step, on stderr: stdout is for results."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("  %(message)s"))
    logger = logging.getLogger("mlops")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
