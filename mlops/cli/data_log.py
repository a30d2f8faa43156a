"""Command `data log`: the versions of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli.output import Json

if TYPE_CHECKING:
    from mlops.data.history import Recorded

__all__ = ["data_log"]


def data_log(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", min=1, help="How many to show, newest first.")] = 30,
    json: Json = False,
) -> None:
    """Show the versions of the data, newest first, and which models were trained on each; * is checked out.

    Those of the current branch and of the loop's, mlops/loop. Example: mlops data log
    """
    from mlops.project.data_log import versions

    listed = versions(context.obj.project(), most=most)
    text = "\n".join(_lines(listed)) if listed else "No version yet: add rows with `mlops ingest FILE`."
    context.obj.show(text, {"versions": [one.to_dict() for one in listed]}, as_json=json)


def _lines(listed: list[Recorded]) -> list[str]:
    """Lay versions out in columns, a line each."""
    heads = ("", "version", "when (UTC)", "added", "rows", "files", "commit", "branches", "models", "")
    rows = [heads, *map(_cells, listed)]
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
