"""The versions of the data: data log, diff, checkout, push, pull."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli.output import Json

if TYPE_CHECKING:
    from mlops.adapters.dvc.remote import Transfer
    from mlops.data.history import Recorded
    from mlops.project.data_log import Chosen

__all__ = ["add_to"]

Name = Annotated[
    str,
    typer.Argument(
        help="The start of a version's name, a git revision, or model:3 for what version 3 was trained on."
    ),
]
Remote = Annotated[str | None, typer.Option(help="A DVC remote; default: DVC's default remote.")]


def add_to(data: typer.Typer) -> None:
    """Add these verbs to the group `data`."""
    for verb in (log, diff, checkout, push, pull):
        data.command()(verb)


def log(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", min=1, help="How many to show, newest first.")] = 30,
    json: Json = False,
) -> None:
    """Show the versions of the data, newest first, and which models were trained on each; * is checked out.

    Those of the current branch and of the loop's, mlops/loop. Example: mlops data log
    """
    from mlops.project.data_log import versions

    found = versions(context.obj.project(), most=most)
    text = "\n".join(_lines(found)) if found else "No version yet: add rows with `mlops ingest FILE`."
    context.obj.show(text, {"versions": [one.to_dict() for one in found]}, as_json=json)


def diff(
    context: typer.Context,
    before: Name,
    after: Annotated[str | None, typer.Argument(help="The same forms; default: what is checked out.")] = None,
    all: Annotated[
        bool, typer.Option("--all", help="Show every column, not only those that changed most.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare two versions of the data: rows, columns, missing values and distributions, side by side.

    Example: mlops data diff HEAD~1
    """
    from mlops.cli import data_diff
    from mlops.project import data_log

    project = context.obj.project()
    old, new = data_log.choose(project, before), data_log.choose(project, after)
    found = data_log.diff(project, old, new)
    text = "" if json else data_diff.text(found, str(old), str(new), everything=all)
    named = {"before": _named(old), "after": _named(new)}
    context.obj.show(text, named | found.to_dict(), as_json=json)


def checkout(
    context: typer.Context,
    version: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Proceed even if files that belong to no version are lost.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring the data on disk to a version, its files and the pointer to it. Nothing is committed.

    The next mlops train trains on it. Example: mlops data checkout 3ac41f
    """
    from mlops.project import data_checkout, data_log

    project = context.obj.project()
    moved = data_checkout.checkout(project, data_log.choose(project, version), force=force)
    chosen = moved.chosen
    at = f", as of commit {chosen.commit[:8]}" if chosen.commit else ""
    lines = [f"{' and '.join(moved.paths)} at version {chosen}{at}.", *moved.notes]
    if moved.uncommitted:
        pointers = " ".join(moved.uncommitted)
        lines += [
            f"To keep it: `mlops train`, which commits what it trains on, or `git commit {pointers}`.",
            "To go back: `mlops data checkout HEAD`.",
        ]
    result = {**_named(chosen), "paths": moved.paths, "notes": moved.notes, "uncommitted": moved.uncommitted}
    context.obj.show("\n".join(lines), result, as_json=json)


def push(context: typer.Context, remote: Remote = None, json: Json = False) -> None:
    """Send the data of all versions to a DVC remote; each object is hashed before it goes.

    Example: mlops data push
    """
    from mlops.project import data_remote

    done = data_remote.push(context.obj.project(), remote=remote, told=_progress("sent"))
    _show_transfer(context, done, "sent", as_json=json)


def pull(context: typer.Context, remote: Remote = None, json: Json = False) -> None:
    """Bring the data of all versions from a DVC remote; each object is verified on arrival.

    Example: mlops data pull --remote store
    """
    from mlops.project import data_remote

    done = data_remote.pull(context.obj.project(), remote=remote, told=_progress("brought"))
    _show_transfer(context, done, "brought", as_json=json)


def _show_transfer(context: typer.Context, done: Transfer, verb: str, *, as_json: bool) -> None:
    from mlops.cli.output import size

    moved = f"{done.moved:,} objects {verb}, {size(done.bytes)}" if done.moved else f"Nothing {verb}"
    text = f"{moved}; {done.there:,} were there already."
    result = {"moved": done.moved, "bytes": done.bytes, "there": done.there}
    context.obj.show(text, result, as_json=as_json)


def _progress(verb: str) -> Callable[[Transfer], None]:
    """Show how far a transfer is, in place, where somebody looks on."""

    def told(done: Transfer) -> None:
        from mlops.cli.output import size

        if sys.stderr.isatty() and done.wanted:
            last = "\n" if done.moved + len(done.failed) >= done.wanted else ""
            sys.stderr.write(
                f"\r  {done.moved:,} of {done.wanted:,} objects {verb}, {size(done.bytes)}   {last}"
            )
            sys.stderr.flush()

    return told


def _named(chosen: Chosen) -> dict[str, object]:
    return {"md5": chosen.version.md5, "files": chosen.version.files, "commit": chosen.commit}


def _lines(found: list[Recorded]) -> list[str]:
    """Lay versions out in columns, a line each."""
    heads = ("", "version", "when (UTC)", "added", "rows", "files", "commit", "branches", "models", "")
    rows = [heads, *map(_cells, found)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    numbers = (3, 4, 5)
    return [
        "  ".join(
            cell.rjust(width) if at in numbers else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cells(one: Recorded) -> tuple[str, ...]:
    return (
        "*" if one.current else "",
        one.md5[:8],
        f"{one.at:%Y-%m-%d %H:%M}" if one.at else "not committed",
        "" if one.added is None else f"{one.added:,}",
        "" if one.rows is None else f"{one.rows:,}",
        f"{one.files:,}",
        (one.commit or "")[:8],
        ", ".join(one.branches),
        ", ".join(one.models),
        one.message,
    )
