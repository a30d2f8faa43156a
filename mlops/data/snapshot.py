"""A version of the lake read from where its files lie, such as a cache: a few columns at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.data.lake import Duplicate, batch_of, current_rows
from mlops.data.staging import FORMAT
from mlops.errors import DataError
from mlops.files.formats import check_table
from mlops.moments import to_times

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Snapshot", "rows_in"]


class Snapshot:
    """The rows of Parquet files that are one table.

    Parameters
    ----------
    files
        Their names in the lake → where their bytes are.
    time, target, on_duplicate
        Of rows with one key the current one counts, as in `mlops.data.lake.Lake`: one that has this
        target before one that has none, by batch, then by this time, the last (``update``) or
        the first (``keep``).
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        time: str | None = None,
        target: str | None = None,
        on_duplicate: Duplicate = "update",
    ) -> None:
        tables = [name for name in files if name.endswith(".parquet")]
        self._files = {name: files[name] for name in sorted(tables, key=lambda name: (_batch(name), name))}
        self._time = time
        self._target = target
        self._on_duplicate: Duplicate = on_duplicate

    def __len__(self) -> int:
        """Rows in all, those of a key that came again too."""
        return sum(footer.num_rows for footer in self._footers.values())

    @cached_property
    def types(self) -> dict[str, str]:
        """Column → its type as the files name it; several where they differ."""
        types_by_name: dict[str, dict[str, None]] = {}
        for footer in self._footers.values():
            for field in footer.schema.to_arrow_schema():
                # Arrow's memory layout of text does not matter here.
                types_by_name.setdefault(field.name, {})[str(field.type).removeprefix("large_")] = None
        # A batch without a single value has the type null, which is no type of the column.
        return {
            name: " | ".join([each for each in types if each != "null"] or types)
            for name, types in types_by_name.items()
        }

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return these columns of every row; missing where a file lacks one.

        Raises
        ------
        DataError
            A file cannot be read.
        FormatError
            A file is of a format that is not known here.
        """
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = []
        for name, path in self._files.items():
            footer = self._footers[name]
            present = [column for column in columns if column in footer.schema.to_arrow_schema().names]
            try:
                table = pq.ParquetFile(path).read(present)
            except (OSError, pa.ArrowInvalid) as exc:
                raise DataError(f"{name} cannot be read: {exc}.") from exc
            arrays = {column: table[column] for column in present}
            absent = pa.nulls(footer.num_rows)
            tables.append(pa.table({column: arrays.get(column, absent) for column in columns}))
        if not tables:
            return pd.DataFrame({name: [] for name in columns})
        try:
            frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            # Types that do not go together, as text in one batch and numbers in another.
            frame = pd.concat([table.to_pandas() for table in tables], ignore_index=True)
        return frame

    def current_rows(self, key: str) -> NDArray[np.bool_]:
        """Mark the rows that count, one for each key."""
        counts = [footer.num_rows for footer in self._footers.values()]
        batches = np.repeat([_batch(name) for name in self._files], counts)
        times = self._moments(self._time) if self._time in self.types else None
        labelled = None
        if self._target in self.types:
            labelled = self.read([self._target])[self._target].notna().to_numpy()
        return current_rows(self.read([key])[key], batches, times, self._on_duplicate, labelled)

    def _moments(self, name: str) -> NDArray[np.datetime64]:
        """Return a column of times as numpy's own; what is no time is missing.

        Those of a time zone would be sorted one Python object at a time.
        """
        return to_times(self.read([name])[name]).to_numpy("datetime64[us]")

    @cached_property
    def _footers(self) -> dict[str, Any]:
        footers = {name: _footer(path, name) for name, path in self._files.items()}
        for name, footer in footers.items():
            check_table(footer.schema.to_arrow_schema(), FORMAT, file=Path(name), foreign=True)
        return footers


def _batch(name: str) -> int:
    """Return the batch of a file; of one that no lake wrote, 0."""
    return batch_of(name) if Path(name).name.partition("-")[0].isdigit() else 0


def rows_in(path: Path) -> int | None:
    """Return the row count in a Parquet file's footer; None where it is missing or unreadable."""
    try:
        return int(_footer(path, path.name).num_rows)
    except DataError:
        return None


def _footer(path: Path, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid) as exc:
        raise DataError(f"{name} is no Parquet file that can be read: {exc}.") from exc
