"""Progress and result of a transfer to or from a DVC remote."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli.output import size

if TYPE_CHECKING:
    from mlops.adapters.dvc.remote import Transfer


__all__ = ["Remote", "progress", "show_transfer"]


Remote = Annotated[str | None, typer.Option(help="A DVC remote; default: DVC's default remote.")]


def show_transfer(context: typer.Context, done: Transfer, verb: str, *, as_json: bool) -> None:
    """Show how many objects were transferred."""
    moved = f"{done.moved:,} objects {verb}, {size(done.bytes)}" if done.moved else f"Nothing {verb}"
    text = f"{moved}; {done.there:,} were already there."
    result = {"moved": done.moved, "bytes": done.bytes, "there": done.there}
    context.obj.show(text, result, as_json=as_json)


def progress(verb: str) -> Callable[[Transfer], None]:
    """Return what shows a transfer's progress, in place, on a terminal."""

    def show(done: Transfer) -> None:
        if sys.stderr.isatty() and done.wanted:
            last = "\n" if done.moved + len(done.failed) >= done.wanted else ""
            sys.stderr.write(
                f"\r  {done.moved:,} of {done.wanted:,} objects {verb}, {size(done.bytes)}   {last}"
            )
            sys.stderr.flush()

    return show
