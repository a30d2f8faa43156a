"""The program: its options, how errors leave it, and the verbs it is made of."""

from __future__ import annotations

import gc
import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from mlops import __version__
from mlops.cli import data, init, maintenance, models, predictions, schedule, services
from mlops.cli.output import Screen
from mlops.errors import MlopsError

__all__ = ["app", "main"]

_WrongWords: Any = typer.BadParameter.__mro__[1]
"""Of typer's parser for whatever it does not understand; it has no public name."""
_INTERRUPTED = 130
"""What the parser makes of Ctrl-C."""
_COLLECT_SELDOM = (200_000, 20, 100)
"""A verb imports much that stays, which the collector would walk again and again meanwhile."""

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
        Path, typer.Option("--project", "-C", help="The project's folder, or one inside it.")
    ] = Path(),
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Say where the project is, once for every verb."""
    if version:
        sys.stdout.write(f"mlops {__version__}\n")
        raise typer.Exit
    context.obj = Screen(project)


for module in (init, services, data, models, predictions, schedule, maintenance):
    module.add_to(app)


def main() -> None:
    """Run the program; exit 0 done, 1 failed, 2 usage, 3 refused by a gate or policy."""
    gc.set_threshold(*_COLLECT_SELDOM)
    _log_to_terminal()
    try:
        code = app(standalone_mode=False)
    except MlopsError as exc:
        _complain(exc.message, exc.remedy)
        code = exc.exit_code
    except _WrongWords as exc:
        if _for_machines():
            _complain(exc.format_message(), "See `mlops --help`, or that of the verb.")
        else:
            from typer import rich_utils

            rich_utils.rich_format_error(exc)
        code = exc.exit_code
    except Exception as exc:
        # A mistake of ours: who mends it needs to know where.
        traceback.print_exc()
        if _for_machines():
            _complain(
                f"{type(exc).__name__}: {exc}", "It was not foreseen: what was said on stderr tells more."
            )
        code = 1
    if code == _INTERRUPTED:
        _complain("Interrupted.", "The same command again goes on.")
    gc.freeze()  # else Python walks all of it once more before it ends: a second, after a training
    sys.exit(code if isinstance(code, int) else 0)


def _for_machines() -> bool:
    return "--json" in sys.argv


def _complain(message: str, remedy: str) -> None:
    if _for_machines():
        sys.stdout.write(json.dumps({"error": message, "remedy": remedy}) + "\n")
        return
    sys.stderr.write(f"error: {message}\n")
    if remedy:
        sys.stderr.write(f"       {remedy}\n")


def _log_to_terminal() -> None:
    """Show progress, a line for each step, on stderr: stdout is for results."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("  %(message)s"))
    logger = logging.getLogger("mlops")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
