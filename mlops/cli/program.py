"""The program: its options, how errors leave it, and its commands by help panel."""

from __future__ import annotations

import gc as collector
import json
import logging
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from mlops import __version__
from mlops.addresses import mask_logs, masked
from mlops.cli.backup import backup
from mlops.cli.data_check import data_check
from mlops.cli.data_checkout import data_checkout
from mlops.cli.data_diff import data_diff
from mlops.cli.data_log import data_log
from mlops.cli.data_pull import data_pull
from mlops.cli.data_push import data_push
from mlops.cli.data_quarantine import data_quarantine
from mlops.cli.deploy import deploy
from mlops.cli.doctor import doctor
from mlops.cli.down import down
from mlops.cli.gc import gc
from mlops.cli.ingest import ingest
from mlops.cli.init import init
from mlops.cli.labels import labels
from mlops.cli.monitor import monitor
from mlops.cli.output import Screen
from mlops.cli.predict import predict
from mlops.cli.replay import replay
from mlops.cli.reproduce import reproduce
from mlops.cli.restore import restore
from mlops.cli.retrain import retrain
from mlops.cli.rollback import rollback
from mlops.cli.schedule import schedule
from mlops.cli.score import score
from mlops.cli.status import status
from mlops.cli.terminal import show_any_character, speak_utf8
from mlops.cli.train import train
from mlops.cli.up import up
from mlops.cli.why import why
from mlops.errors import DataError, MlopsError, ShortageError, UsageError

__all__ = ["app", "main"]

_INTERRUPTED = 130
"""What the parser makes of Ctrl-C."""
_folder = ContextVar("_folder", default=Path())
"""Where the command's project is, for what it fails by."""
_COLLECT_SELDOM = (200_000, 20, 100)
"""A command imports much that stays, which the collector would walk again and again meanwhile."""

app = typer.Typer(
    name="mlops",
    help="Keep a model fresh: version data, train, watch for drift, retrain, redeploy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"mlops {__version__}\n")
        raise typer.Exit


@app.callback()
def program(
    context: typer.Context,
    project: Annotated[
        Path, typer.Option("--project", "-C", help="The project's folder, or one inside it.")
    ] = Path(),
    version: Annotated[  # eager: or the parser misses a command first
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Keep where the project is, for the command."""
    del version
    from mlops.config.clean_environment import clean_process

    context.obj = Screen(project, clean_process())
    _folder.set(project)


_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Project": (init, up, down, status),
    "Data": (ingest,),
    "Models": (train, monitor, retrain, replay, deploy, rollback, reproduce),
    "Predictions": (predict, score, why),
    "Maintenance": (doctor, gc, backup, restore),
}
_DATA = (data_check, data_quarantine, data_log, data_diff, data_checkout, data_push, data_pull)


def _add_commands() -> None:
    """Add the commands, in the order of the help."""
    data = typer.Typer(
        help="The data: checked against the contract, what it kept out; versions, and where they are kept.",
        no_args_is_help=True,
    )
    for command in _DATA:
        data.command(command.__name__.removeprefix("data_"))(command)
    groups = {"Project": {"schedule": schedule}, "Data": {"data": data, "labels": labels}}
    for panel, commands in _PANELS.items():
        for command in commands:
            app.command(rich_help_panel=panel)(command)
        for name, group in groups.get(panel, {}).items():
            app.add_typer(group, name=name, rich_help_panel=panel)


_add_commands()


def main() -> None:
    """Run the program; exit 0 done, 1 failed, 2 usage, 3 rejected by a gate or policy."""
    collector.set_threshold(*_COLLECT_SELDOM)
    speak_utf8()
    show_any_character()
    _log_to_terminal()
    try:
        code = app(standalone_mode=False)
    except MlopsError as exc:
        error = _shortage(exc) or exc
        _show_error(error.message, error.remedy)
        code = error.exit_code
    except typer.TyperException as exc:  # whatever the parser does not understand
        if _for_machines():
            _show_error(exc.format_message(), "See `mlops --help`, or the command's own --help.")
        else:
            _show_as_typer_does(exc)
        code = exc.exit_code
    except Exception as exc:
        shortage = _shortage(exc)
        if shortage is not None:
            _show_error(shortage.message, shortage.remedy)
        else:  # a bug of ours: its traceback is what a report needs
            sys.stderr.write(masked(traceback.format_exc()))
        if shortage is None and _for_machines():
            _show_error(
                masked(f"{type(exc).__name__}: {exc}"), "Unexpected error: the traceback is on stderr."
            )
        code = 1
    if code == _INTERRUPTED:
        _show_error("Interrupted.", "Run the same command again to resume.")
    collector.freeze()  # else Python walks all of it once more before it ends: a second, after a training
    sys.exit(code if isinstance(code, int) else 0)


def _shortage(exc: Exception) -> ShortageError | None:
    """Return what the machine ran out of, if a command failed by that.

    A server of ours does not say that its disk is full: where ours is while it fails, that is why.
    """
    from mlops.files.shortage import find_shortage, probe

    folder = _folder.get().absolute()
    if found := find_shortage(exc, folder):
        return found
    if isinstance(exc, UsageError | DataError):
        return None
    full = probe(folder) or probe(_temporary())
    if full is None:
        return None
    failed = f" So this failed: {exc.message}" if isinstance(exc, MlopsError) else ""
    return ShortageError(f"{full.message}{failed}", remedy=full.remedy)


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # it looks for one that can be written
        return Path("/tmp")


def _show_as_typer_does(exc: Any) -> None:
    from typer import rich_utils

    rich_utils.rich_format_error(exc)


def _for_machines() -> bool:
    return "--json" in sys.argv


def _show_error(message: str, remedy: str) -> None:
    if _for_machines():
        sys.stdout.write(json.dumps({"error": message, "remedy": remedy}) + "\n")
        return
    sys.stderr.write(f"error: {message}\n")
    if remedy:
        sys.stderr.write(f"       {remedy}\n")


def _log_to_terminal() -> None:
    """Show progress, a line for each step, on stderr: stdout is for results."""
    mask_logs()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("  %(message)s"))
    logger = logging.getLogger("mlops")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
