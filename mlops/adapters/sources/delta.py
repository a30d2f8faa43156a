"""A Delta table as a source of tables, by deltalake: the extra `delta`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mlops.config.source_params import DeltaParams
from mlops.data.source import Fetched, SourceContext
from mlops.errors import DataError, UnavailableError, UsageError
from mlops.files import parquet

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

__all__ = ["DeltaSource"]


@dataclass(frozen=True)
class DeltaSource:
    """A Delta table at a version, or at its newest.

    Where nothing but rows was added since the version taken last, those rows are given, also where
    the table was compacted or its properties were changed meanwhile; where rows were changed or
    removed, the whole table.
    """

    address: str = field(repr=False)
    version: int | None = None

    @classmethod
    def from_params(cls, params: DeltaParams, context: SourceContext) -> DeltaSource:
        """Return the source that a section describes; a folder lies below the project's."""
        address = context.expand(params.delta)
        inside = address if "://" in address else str(context.root / Path(address).expanduser())
        return cls(inside, params.version)

    def fetch(self, since: Any, folder: Path) -> Iterator[Fetched]:
        """Give the new rows as one table; none where the version was taken before."""
        table = self._open()
        at, before = table.version(), None if since is None else since["version"]
        if at == before or (self.version is None and before is not None and at < before):
            return
        place = urlsplit(self.address).path if "://" in self.address else self.address
        file = folder / f"{place.rstrip('/').rsplit('/', 1)[-1]}-v{at}.parquet"
        added = _added(table, before)
        rows = parquet.gather(_pieces(table) if added is None else _new_pieces(table, added), file)
        if rows:
            again = before is not None and added is None
            yield Fetched(file, file.name, {"version": at}, again=again)

    def _open(self) -> DeltaTable:
        try:
            from deltalake import DeltaTable
            from deltalake.exceptions import DeltaError, TableNotFoundError
        except ImportError as exc:
            raise UsageError(
                "data.source is a Delta table, but deltalake is not installed.",
                remedy="Install deltalake: `pip install 'deltalake>=1.1'`.",
            ) from exc
        try:
            return DeltaTable(self.address, version=self.version)
        except TableNotFoundError as exc:
            raise UsageError(
                f"There is no Delta table at {self.address}.", remedy="Correct data.source.delta."
            ) from exc
        except DeltaError as exc:
            raise DataError(
                f"The Delta table {self.address} cannot be read: {exc}.", remedy="Correct data.source."
            ) from exc
        except OSError as exc:
            raise UnavailableError(
                "The Delta table", self.address, remedy="Check it, and its credentials.", cause=exc
            ) from exc


def _added(table: DeltaTable, before: int | None) -> dict[int, set[str]] | None:
    """Return by version the files whose rows are new since `before`, or None where the whole table is.

    The log marks each file whose rows changed: those of a compaction did not.
    """
    from pyarrow.fs import FileType

    if before is None or before >= table.version():
        return None
    added: dict[int, set[str]] = {}
    place = table.to_pyarrow_dataset().filesystem
    for version in range(before + 1, table.version() + 1):
        try:
            with place.open_input_stream(f"_delta_log/{version:020d}.json") as file:
                actions = [json.loads(line) for line in file.read().splitlines()]
        except FileNotFoundError:  # the log was cut
            return None
        if _changed(actions, "remove"):
            return None
        if paths := _changed(actions, "add"):
            # A file that was compacted away since is there until the table is vacuumed.
            if any(info.type == FileType.NotFound for info in place.get_file_info([*map(unquote, paths)])):
                return None
            added[version] = {path.rsplit("/", 1)[-1] for path in paths}
    return added


def _changed(actions: list[dict[str, Any]], what: str) -> list[str]:
    """Return the files that a version added, or removed, with rows that it changed."""
    entries = [action[what] for action in actions if what in action]
    return [each["path"] for each in entries if each.get("dataChange", True)]


def _new_pieces(table: DeltaTable, added: dict[int, set[str]]) -> Iterator[pa.Table]:
    for version, names in added.items():
        yield from _pieces(type(table)(table.table_uri, version=version), names)


def _pieces(table: DeltaTable, names: set[str] | None = None) -> Iterator[pa.Table]:
    import pyarrow as pa

    dataset = table.to_pyarrow_dataset()
    for fragment in dataset.get_fragments():
        if names is None or fragment.path.rsplit("/", 1)[-1] in names:
            for batch in fragment.to_batches(schema=dataset.schema):
                yield pa.Table.from_batches([batch])
