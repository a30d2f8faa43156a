"""The lake: every row ever ingested, in Parquet partitions by the month of its event time.

Files are only ever added, so DVC versions a batch by hashing that batch alone; where a key
comes again, `Lake.on_duplicate` says which row is the current one on reading.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlops.data.staging import FORMAT, Staging
from mlops.errors import DataError, MissingColumnError
from mlops.files import atomic
from mlops.files.formats import check_table, from_json, to_json
from mlops.files.hashing import md5_of
from mlops.schema import Schema
from mlops.tables.conform import conform, in_order, reread

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Appended", "Duplicate", "Lake", "batch_of", "current_rows"]

_INTENT_FORMAT = 1
Duplicate = Literal["update", "keep"]
"""The current row of a repeated key: the later or the first."""


@dataclass(frozen=True)
class Appended:
    """What an append did.

    Parameters
    ----------
    rows, skipped
        Rows added, and rows left out because their file was there.
    batch
        The number that the batch has in the lake.
    files
        The files added.
    rows_by_file
        Every file that holds the batch's rows, with how many: those added and those that were there.
    """

    rows: int
    files: tuple[str, ...]
    skipped: int
    batch: int
    rows_by_file: Mapping[str, int]


@dataclass(frozen=True)
class Lake:
    """A folder of partitions, `<YYYY-MM>/<batch>-<content>.parquet`.

    Parameters
    ----------
    on_duplicate
        The current row of a repeated key: that of the later batch (``update``) or that of the
        first (``keep``); within a batch, that of the later or the earlier time. One that has its
        label goes before one that waits for it.
    """

    path: Path
    on_duplicate: Duplicate = "update"

    def append(self, frame: pd.DataFrame, schema: Schema) -> Appended:
        """Add a batch; the same batch a second time adds nothing.

        Parameters
        ----------
        frame
            Holds the schema's columns; others stay out of the lake.

        Raises
        ------
        MissingColumnError
            A column of the schema is not in the frame.
        DataError
            A value is of the wrong type; the column and the value are named.
        """
        with self.staging() as staging:
            staging.write(in_order(conform(frame, schema), schema), schema.time)
            return self.publish(staging)

    def staging(self, number: int = 0, *, origin: str = "") -> Staging:
        """Return where a batch is written before it is published, beside the lake.

        Parameters
        ----------
        number
            Tells those apart that are written at once; two of one number must not be.
        origin
            See `Staging`.
        """
        return Staging(self.path.with_name(f".{self.path.name}-staging-{number}"), origin=origin)

    def sweep(self) -> None:
        """Remove what killed processes staged; nobody may be staging."""
        for left in self.path.parent.glob(f".{self.path.name}-staging-*"):
            shutil.rmtree(left, ignore_errors=True)

    def declare_intent(self, stagings: Iterable[Staging]) -> None:
        """Record what is about to be published together, for `incomplete_files`."""
        self._intent.parent.mkdir(parents=True, exist_ok=True)
        (self._intent.parent / ".gitignore").write_text("*\n", "utf-8")
        parts = [[part.month, part.digest] for staging in stagings for part in staging.parts()]
        atomic.write_text(self._intent, to_json({"parts": parts}, _INTENT_FORMAT))

    def incomplete_files(self) -> frozenset[str]:
        """Return the files of the last intent, where a kill left others of it unpublished."""
        existing = self._files_by_month()
        if not self._intent.is_file():
            return frozenset()
        intended = from_json(self._intent.read_text("utf-8"), _INTENT_FORMAT, where=str(self._intent))[
            "parts"
        ]
        names = [_file_of(existing, month, digest) for month, digest in intended]
        return frozenset(name for name in names if name) if None in names else frozenset()

    @property
    def _intent(self) -> Path:
        return self.path.with_name(f".{self.path.name}-intent") / "parts.json"

    def names(self) -> frozenset[str]:
        """Return the lake's files, whoever put them there."""
        return frozenset(
            f"{month}/{name}" for month, names in self._files_by_month().items() for name in names
        )

    def refuse_other_labels(self, staging: Staging, schema: Schema) -> None:
        """Refuse staged rows whose labels are of another type than the lake's.

        Raises
        ------
        DataError
            They are text in one and whole numbers, or true and false, in the other.
        """
        import pyarrow as pa

        def of(files: Iterable[Path]) -> pa.DataType | None:
            for file in files:
                stored = _stored_schema(file)
                if schema.target in stored.names and not pa.types.is_null(stored.field(schema.target).type):
                    return stored.field(schema.target).type
            return None

        ours = of(self.path / name for name in reversed(self._files()))
        theirs = of(part.file for part in staging.parts())
        if ours is not None and theirs is not None and ours != theirs:
            raise DataError(
                f"{schema.target} holds labels of the type {theirs}; those of the lake are {ours}.",
                remedy="Spell each label as in the tables before: true and false, whole numbers or text.",
            )

    def overlap(self, staging: Staging, schema: Schema) -> int:
        """Count the staged rows that the lake holds already, the same in every column.

        Those of a part that `publish` would leave out are none. A feature that a file of the lake came
        without does not distinguish rows of its month. Reads the months that were staged.
        """
        existing, count = self._files_by_month(), 0
        new: dict[str, list[str]] = {}
        for part in staging.parts():
            if existing.get(part.month) and _file_of(existing, part.month, part.digest) is None:
                new.setdefault(part.month, []).append(part.file.name)
        for month, files in new.items():
            there = [_read_parquet(self.path / month / name, schema) for name in existing[month]]
            come = [_read_parquet(staging.folder / name, schema) for name in files]
            known = {
                name: kind
                for name, kind in schema.features.items()
                if all(name in table.column_names for table in there)
            }
            ours, theirs = (_counted(tables, replace(schema, features=known)) for tables in (there, come))
            both = ours.index.intersection(theirs.index)
            count += int(np.minimum(ours[both].to_numpy(), theirs[both].to_numpy()).sum())
        return count

    def publish(self, staging: Staging) -> Appended:
        """Commit what was staged as a batch; what the lake holds already is left out.

        Killed midway, the same batch again adds what is missing.
        """
        existing = self._files_by_month()
        number = 1 + max((batch_of(name) for names in existing.values() for name in names), default=0)
        added: dict[str, int] = {}
        there: dict[str, int] = {}
        for part in staging.parts():
            known = _file_of(existing, part.month, part.digest)
            name = known or f"{part.month}/{number:06d}-{part.digest}.parquet"
            (there if known else added)[name] = part.rows
            if not known:
                (self.path / part.month).mkdir(parents=True, exist_ok=True)
                part.file.replace(self.path / name)
        known_batch = min((batch_of(name) for name in there), default=number)
        return Appended(
            rows=sum(added.values()),
            files=tuple(added),
            skipped=sum(there.values()),
            batch=number if added else known_batch,
            rows_by_file={**there, **added},
        )

    def read(self, schema: Schema, *, optional: Collection[str] = ()) -> pd.DataFrame:
        """Return the rows, one per key, in order of time and key.

        Columns are as `conform` leaves them, also where their kind was another when their rows came.
        A feature is missing in the rows of a partition that lacks it. ``attrs["for_label"]`` counts the
        rows that are current for their label alone, in place of one of the same key that has none, and
        ``attrs["incomplete"]``, by feature, those whose partition lacks it.

        Parameters
        ----------
        optional
            Features that no partition need have.

        Raises
        ------
        DataError
            The lake is empty, or holds what cannot be read as the kind that a column is of now.
        MissingColumnError
            A partition lacks the target, the time or the key, or every one a feature.
        """
        files = self._files()
        if not files:
            raise DataError(f"The lake {self.path} holds no rows.", remedy="Add some: `mlops ingest FILE`.")
        tables = [_read_parquet(self.path / name, schema) for name in files]
        incomplete = _incomplete_features(tables, schema)
        if unknown := [name for name, rows in incomplete.items() if rows.all() and name not in optional]:
            raise MissingColumnError(
                unknown,
                have=_stored_schema(self.path / files[-1]).names,
                where=f"The lake {self.path}",
                remedy="Correct the name in params.yaml, or bring the column into the lake: ingest a table "
                "that has it, or build the lake again from data/raw: see 'A new feature' on the page 'Data' "
                "of the documentation.",
            )
        frame = _joined(tables, schema)
        is_current, for_label = np.ones(len(frame), dtype=bool), 0
        if schema.key:
            batches = np.repeat([batch_of(name) for name in files], [len(table) for table in tables])
            # As numpy's own times: those of a time zone would be sorted one Python object at a time.
            times = frame[schema.time].to_numpy("datetime64[us]") if schema.time else None
            labelled = frame[schema.target].notna().to_numpy()
            is_current = current_rows(frame[schema.key], batches, times, self.on_duplicate, labelled)
            if not labelled.all():
                plainly = current_rows(frame[schema.key], batches, times, self.on_duplicate)
                for_label = int((is_current & ~plainly).sum())
        ordered = in_order(frame[is_current], schema).reset_index(drop=True)
        counts = {name: int(rows[is_current].sum()) for name, rows in incomplete.items()}
        ordered.attrs["for_label"] = for_label
        ordered.attrs["incomplete"] = {name: count for name, count in counts.items() if count}
        return ordered

    def digest(self) -> str:
        """Hash the content as DVC names a folder: an md5 over the md5 of its files, and ``.dir``."""
        entries = [{"md5": md5_of(self.path / name), "relpath": name} for name in sorted(self._files())]
        return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"

    def _files_by_month(self) -> dict[str, list[str]]:
        """Names of files by month, from the folders' entries alone: quick with many partitions."""
        if not self.path.is_dir():
            return {}
        with os.scandir(self.path) as entries:
            months = [entry for entry in entries if entry.is_dir()]
        return {month.name: _parquet_in(month.path) for month in months}

    def _files(self) -> list[str]:
        """Paths by batch, then by month."""
        return sorted(self.names(), key=lambda name: (batch_of(name), name))


def _file_of(existing: Mapping[str, Iterable[str]], month: str, digest: str) -> str | None:
    """Return the lake's file of these rows, whichever batch brought it; None where there is none."""
    matches = (name for name in existing.get(month, ()) if name.endswith(f"-{digest}.parquet"))
    return next((f"{month}/{name}" for name in matches), None)


def batch_of(name: str) -> int:
    """Return the number that the name of a lake's file begins with: of the batch that brought it."""
    return int(Path(name).name.partition("-")[0])


def current_rows(
    keys: pd.Series[Any],
    batches: NDArray[np.int_],
    times: NDArray[Any] | None,
    on_duplicate: Duplicate,
    labelled: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Mark the current rows, one a key: the latest by batch, then by time, then as they were written.

    Where it is known which are `labelled`, one of those goes before any other: a later export
    without labels takes none away, and a label that comes later finds its row.
    """
    last = on_duplicate == "update"
    order = [batches] if times is None else [times, batches]
    ranked = np.lexsort(order if labelled is None else [*order, labelled == last])
    again = keys.iloc[ranked].duplicated(keep="last" if last else "first")
    is_current = np.empty(len(keys), dtype=bool)
    is_current[ranked] = ~again.to_numpy()
    return is_current


def _read_parquet(file: Path, schema: Schema) -> pa.Table:
    """Return what a file has of the schema's columns; only features may be missing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as exc:
        raise DataError(f"{file} cannot be read: {exc}", remedy="Restore it: `dvc checkout`.") from exc
    check_table(table.schema, FORMAT, file=file, foreign=True)
    roles = (schema.target, schema.time, schema.key)
    if missing := [name for name in roles if name and name not in table.column_names]:
        raise MissingColumnError(missing, have=table.column_names, where=str(file))
    return table.select(
        [name for name in schema.named if name in table.column_names]
    ).replace_schema_metadata()


def _incomplete_features(tables: list[pa.Table], schema: Schema) -> dict[str, NDArray[np.bool_]]:
    """Mark by feature, where a table lacks it, the rows of those that do."""
    lengths = [len(table) for table in tables]
    lacks = {name: [name not in table.column_names for table in tables] for name in schema.features}
    return {name: np.repeat(lack, lengths) for name, lack in lacks.items() if any(lack)}


def _joined(tables: list[pa.Table], schema: Schema) -> pd.DataFrame:
    """Return the rows of the tables, conformed, one after the other."""
    import pandas as pd
    import pyarrow as pa

    whole = [_filled(table, schema) for table in tables]
    try:
        frame = pa.concat_tables(whole, promote_options="permissive").to_pandas()
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        # A column's kind was corrected in between: it is text in some files and numbers in others.
        frames = [conform(reread(table.to_pandas(), schema), schema) for table in whole]
        frame = pd.concat(frames, ignore_index=True)
    return conform(reread(frame, schema), schema)


def _filled(table: pa.Table, schema: Schema) -> pa.Table:
    """Return a table with all of the schema's columns, null where it lacks one."""
    import pyarrow as pa

    for name in schema.named:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table)))
    return table.select(schema.named)


def _counted(tables: list[pa.Table], schema: Schema) -> pd.Series[Any]:
    """Return how often each row occurs, by its hash."""
    import pandas as pd

    return pd.util.hash_pandas_object(_joined(tables, schema), index=False).value_counts()


def _stored_schema(file: Path) -> pa.Schema:
    import pyarrow.parquet as pq

    stored = pq.read_schema(file)
    check_table(stored, FORMAT, file=file, foreign=True)
    return stored


def _parquet_in(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.name.endswith(".parquet")]
