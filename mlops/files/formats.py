"""The version of each stored format; an unknown one is refused, with both versions named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import FormatError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check", "check_table", "from_json", "stamped", "to_json"]

_KEY = b"mlops.format"
"""In the metadata of a Parquet file."""


def check(version: Any, supported: int, *, where: str) -> None:
    """Make sure that a file's format is the one that this version of mlops reads.

    Raises
    ------
    FormatError
        It is another.
    """
    if version != supported or isinstance(version, bool):
        raise FormatError(where, version, supported)


def to_json(fields: Mapping[str, Any], version: int) -> str:
    """Return a JSON object on one line that bears its format's version."""
    return json.dumps({"format": version, **fields})


def from_json(text: str | bytes, supported: int, *, where: str) -> dict[str, Any]:
    """Return the fields of what `to_json` wrote.

    Raises
    ------
    FormatError
        It is of another format, or bears no version.
    ValueError
        It is not JSON.
    """
    content = json.loads(text)
    fields = content if isinstance(content, dict) else {}
    check(fields.pop("format", None), supported, where=where)
    return fields


def stamped(table: pa.Table, version: int) -> pa.Table:
    """Return a table that bears its format's version in its metadata."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: str(version)})


def check_table(schema: pa.Schema, supported: int, *, file: Path, foreign: bool = False) -> None:
    """Make sure that a Parquet file is of the format that this version of mlops reads.

    Parameters
    ----------
    foreign
        Let a file without a version pass: somebody else wrote it.

    Raises
    ------
    FormatError
        It is another.
    """
    stamp = (schema.metadata or {}).get(_KEY)
    if stamp is not None or not foreign:
        version = stamp.decode() if stamp is not None else None
        check(int(version) if version and version.isdecimal() else version, supported, where=str(file))
