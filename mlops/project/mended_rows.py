"""Quarantined rows as a table that a person mends: written out, and read back beside what they were."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops.data.quarantine import ROW, QuarantinedRow
from mlops.data.validation import REASON
from mlops.errors import DataError, UsageError
from mlops.feature_types.cells import spelled
from mlops.schema import Schema
from mlops.tables import readers

__all__ = ["merged", "read", "text_of"]


def text_of(rows: Sequence[QuarantinedRow], file: Path) -> str:
    """Return rows as the text of a CSV or of JSON lines, by the name of the file.

    Raises
    ------
    UsageError
        Its name is that of neither.
    """
    if _format(file) == "jsonl":
        return "".join(json.dumps(_named(row), ensure_ascii=False) + "\n" for row in rows)
    columns = list(dict.fromkeys(name for row in rows for name in _named(row)))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in _named(row).items()} for row in rows)
    return text.getvalue()


def read(file: Path) -> dict[str, dict[str, Any]]:
    """Return by its name what each row of a mended table holds; of a CSV as text.

    Raises
    ------
    UsageError
        The table does not name its rows, or a row twice.
    DataError
        It cannot be read.
    """
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(
            f"{file} cannot be read: {exc}.", remedy="Give a CSV or JSON lines, in UTF-8."
        ) from exc
    if _format(file) == "jsonl":
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    else:
        first = text.partition("\n")[0]
        separator = ";" if first.count(";") > first.count(",") else ","
        rows = [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)]
    named: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = row.pop(ROW, None)
        if not name or name in named:
            what = f"the row {name} comes twice" if name else f"a row has no {ROW}"
            raise UsageError(
                f"{file}: {what}.",
                remedy="Export the rows with `mlops data quarantine --export FILE`, and mend those.",
            )
        row.pop(REASON, None)
        named[name] = {column: value for column, value in row.items() if column is not None}
    return named


def merged(row: QuarantinedRow, cells: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return a row with the cells that a person changed; the others are as they came.

    A changed cell of a CSV is a number where its column holds such and names no format of its own.
    """
    values = dict(row.values)
    for column, cell in cells.items():
        before = values.get(column)
        if cell is None or cell == before or (isinstance(cell, str) and cell == _cell(before)):
            continue
        values[column] = _typed(cell, column, schema)
    return values


def _typed(cell: Any, column: str, schema: Schema) -> Any:
    if not isinstance(cell, str):
        return cell
    if not cell.strip():
        return None
    type = schema.types.get(column) or (schema.task_type.target_type if column == schema.target else None)
    if type is None or type.is_text or type.is_moment or column in schema.formats:
        return cell
    if cell.strip().lower() in ("true", "false"):
        return cell.strip().lower() == "true"
    try:
        return float(cell)
    except ValueError:
        return cell


def _named(row: QuarantinedRow) -> dict[str, Any]:
    return {ROW: row.name, REASON: row.reason, **row.values}


def _cell(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, dict | list) else spelled(value)


def _format(file: Path) -> str:
    format = readers.format_of(file)
    if format == "parquet":
        raise UsageError(
            f"{file}: rows are mended in CSV or JSON lines.", remedy="Name a .csv or .jsonl file."
        )
    return format
