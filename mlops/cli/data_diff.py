"""Command `data diff`: two versions of the data side by side."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.cli.output import Json, VersionName, version_fields
from mlops.errors import shown

if TYPE_CHECKING:
    from rich.table import Table

    from mlops.data.diff import Column, ColumnDifference, Difference
    from mlops.feature_types import FeatureType

__all__ = ["data_diff", "shown_difference"]

_COLUMNS = 12
"""Columns of each sort that are shown where not all are asked for."""
_VALUES = 5
"""Values of a category that are shown."""
_NARROWEST = 100
_WORDS = 24
"""Characters of a name or a value that are shown."""


def data_diff(
    context: typer.Context,
    before: VersionName,
    after: Annotated[str | None, typer.Argument(help="The same forms; default: what is checked out.")] = None,
    all: Annotated[
        bool, typer.Option("--all", help="Show every column, not only those that changed most.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare two versions of the data: rows, columns, missing values and distributions, side by side.

    Example: mlops data diff HEAD~1
    """
    from mlops.project.data_diff import diff
    from mlops.project.data_log import choose

    project = context.obj.project()
    old, new = choose(project, before), choose(project, after)
    difference = diff(project, old, new)
    text = "" if json else shown_difference(difference, str(old), str(new), everything=all)
    versions = {"before": version_fields(old), "after": version_fields(new)}
    context.obj.show(text, versions | difference.to_dict(), as_json=json)


def shown_difference(difference: Difference, before: str, after: str, *, everything: bool = False) -> str:
    """Return it as lines: rows, columns that came or went, numbers, categories.

    Parameters
    ----------
    before, after
        What to call the versions.
    everything
        Every column; else those that changed most.
    """
    most = None if everything else _COLUMNS
    numbers = [column for column in difference.columns if _spread(column)]
    values = [column for column in difference.columns if _has_values(column)]
    parts = [_rows(difference, before, after), *_schema(difference.columns)]
    for head, columns, lay_out in (
        ("numbers and times", numbers, _numbers),
        ("categories", values, _categories),
    ):
        if columns:
            left_out = len(columns) - len(columns[:most])
            title = f"{head}, those that changed most first"
            more = f"\n  {left_out} more with less change: --all shows them" if left_out else ""
            parts.append(f"{title}\n\n{_render(lay_out(columns[:most], before, after))}{more}")
    return "\n\n".join(parts)


def _rows(difference: Difference, before: str, after: str) -> str:
    rows = difference.rows
    what = f"{rows.added:,} added, {rows.removed:,} removed"
    what += f", {rows.changed:,} changed, by {rows.by}" if rows.by else " (no key tells which changed)"
    lines = [f"rows  {before} {rows.before:,} → {after} {rows.after:,}: {what}"]
    for column in difference.columns:
        if column.role == "target" and column.before and column.after:
            with_label = [f"{1 - side.missing:.1%}" for side in (column.before, column.after)]
            lines.append(f"with a label ({column.name})  {' → '.join(with_label)}")
    return "\n".join(lines)


def _schema(columns: Sequence[ColumnDifference]) -> list[str]:
    lines = []
    for column in columns:
        old, new = column.types
        if column.change == "added":
            lines.append(f"  + {column.name}  {new}")
        elif column.change == "removed":
            lines.append(f"  - {column.name}  {old}")
        elif column.change == "type":
            lines.append(f"  ~ {column.name}  {old} → {new}")
    return ["\n".join(["columns", *lines])] if lines else ["columns  the same, of the same types"]


def _numbers(columns: Sequence[ColumnDifference], before: str, after: str) -> Table:
    names = ("min", "q25", "median", "q75", "max")
    table = _table(
        "column", "version", *(f">{name}" for name in ("missing", "mean", "sd", *names, "distance"))
    )
    for column in columns:
        sides = [
            (version, side) for version, side in ((before, column.before), (after, column.after)) if side
        ]
        for at, (version, side) in enumerate(sides):
            spread, moment = side.spread, _type(column).is_moment
            figures = [_figure(getattr(spread, name), moment=moment) if spread else "" for name in names]
            table.add_row(
                "" if at else _titled(column),
                version,
                f"{side.missing:.1%}",
                _figure(spread.mean, moment=moment) if spread else "",
                _figure(spread.sd, moment=False) if spread and not moment else "",
                *figures,
                _distance(column) if at == len(sides) - 1 else "",
            )
    return table


def _categories(columns: Sequence[ColumnDifference], before: str, after: str) -> Table:
    table = _table("column", "value", f">{before}", f">{after}", ">distance")
    for column in columns:
        old, new = _shares(column.before), _shares(column.after)
        wanted = sorted({**old, **new}, key=lambda value: -max(old.get(value, 0), new.get(value, 0)))
        table.add_row(
            _titled(column), "missing", _missing(column.before), _missing(column.after), _distance(column)
        )
        for value in wanted[:_VALUES]:
            table.add_row(
                "", _bounded(value), _share(old, value, column.before), _share(new, value, column.after), ""
            )
        for what, alone in (("new", column.appeared), ("gone", column.vanished)):
            if alone:
                table.add_row("", f"{what}: {shown([_bounded(value) for value in alone], 4)}", "", "", "")
    return table


def _table(*heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for head in heads:
        table.add_column(
            head.removeprefix(">"), justify="right" if head.startswith(">") else "left", no_wrap=True
        )
    return table


def _render(table: Table) -> str:
    from rich.console import Console

    width = max(_NARROWEST, shutil.get_terminal_size((140, 24)).columns)
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines())


def _spread(column: ColumnDifference) -> bool:
    return any(side is not None and side.spread is not None for side in (column.before, column.after))


def _has_values(column: ColumnDifference) -> bool:
    return any(side is not None and side.values is not None for side in (column.before, column.after))


def _shares(side: Column | None) -> Mapping[str, float]:
    return side.values.shares if side is not None and side.values is not None else {}


def _share(shares: Mapping[str, float], value: str, side: Column | None) -> str:
    if side is None:
        return ""
    # Beyond the most frequent ones a share is not known, only that it is small.
    whole = side.values is None or side.values.distinct == len(shares)
    return f"{shares[value]:.1%}" if value in shares else "-" if whole else "<"


def _missing(side: Column | None) -> str:
    return f"{side.missing:.1%}" if side is not None else ""


def _titled(column: ColumnDifference) -> str:
    title = _type(column).axis_title
    words = f" ({title})" if title else ""
    role = f" ({column.role})" if column.role in ("target", "time") else ""
    return _bounded(column.name) + words + role


def _distance(column: ColumnDifference) -> str:
    return "" if column.distance is None else f"{column.distance:.3f}"


def _type(column: ColumnDifference) -> FeatureType:
    from mlops import feature_types

    return feature_types.find(column.feature_type)


def _figure(value: Any, *, moment: bool) -> str:
    if moment:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _bounded(value: str) -> str:
    return value if len(value) <= _WORDS else value[: _WORDS - 1] + "…"
