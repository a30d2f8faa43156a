"""How two versions of a table differ: their rows, their columns, and what the columns hold.

Of rows that share a key one counts, as when the lake is read. Both tables are read a few
columns at a time, so that memory is bounded by their rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import isnan
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mlops import feature_types
from mlops.feature_types import BOOLEAN, CATEGORY, DATE, NUMBER, FeatureType
from mlops.feature_types.cells import spelled
from mlops.schema import Schema
from mlops.stats.distance import between, prepared

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Column",
    "ColumnDifference",
    "Difference",
    "RowDifference",
    "Spread",
    "Table",
    "Values",
    "compare",
    "feature_type_of",
]

Role = Literal["feature", "target", "time", "key", "other"]

_CELLS = 5_000_000
"""Cells of a table that are in memory at once."""
_MOST_VALUES = 20
"""Values of a category that are listed: the most frequent, those that appeared, those that vanished."""
_QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_NUMBERS = ("int", "uint", "float", "double", "halffloat", "decimal")
"""How Arrow's names of types of numbers begin."""
_OR = " | "
"""Stands between the names of types where a table's files differ in them."""
_PRIME = np.uint64(1_099_511_628_211)
"""The multiplier of the FNV-1a hash: it mixes the columns of a row, in their order."""


class Table(Protocol):
    """What is compared: rows with named columns, read a few columns at a time."""

    @property
    def types(self) -> Mapping[str, str]:
        """Column → its type, as its owner calls it; several where its files differ, a `` | `` between."""

    def __len__(self) -> int:
        """Rows in all."""

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return these columns of every row, in an order that stays."""

    def current_rows(self, key: str) -> NDArray[np.bool_]:
        """Mark the rows that count, one for each key."""


@dataclass(frozen=True)
class Spread:
    """How numbers lie: of a column, of the words in a text, of times in seconds since 1970."""

    mean: float
    sd: float
    min: float
    q25: float
    median: float
    q75: float
    max: float


@dataclass(frozen=True)
class Values:
    """How often each value of a category is, among those that are not missing.

    `shares` holds the most frequent ones, at most twenty, in order.
    """

    distinct: int
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Column:
    """A column in one version: the share that is missing, and how the rest lies."""

    missing: float
    spread: Spread | None = None
    values: Values | None = None


@dataclass(frozen=True)
class ColumnDifference:
    """A column in both versions, or in the one that has it.

    Parameters
    ----------
    types
        What the versions call its type; None where it is not there.
    distance
        See `mlops.stats.distance`; None where there is none of it, as of times, keys and what one
        version lacks.
    appeared, vanished
        Values of a category that only the newer, only the older version has, with their share
        there; at most twenty, the most frequent ones.
    """

    name: str
    role: Role
    feature_type: str
    types: tuple[str | None, str | None]
    before: Column | None
    after: Column | None
    distance: float | None = None
    appeared: Mapping[str, float] | None = None
    vanished: Mapping[str, float] | None = None

    @property
    def change(self) -> Literal["added", "removed", "type", "same"]:
        """What happened to the column itself."""
        if self.types[0] is None or self.types[1] is None:
            return "added" if self.types[0] is None else "removed"
        return "same" if self.types[0] == self.types[1] else "type"

    @property
    def weight(self) -> tuple[bool, float]:
        """How much it changed, to put those that changed most first."""
        missing = abs(self.before.missing - self.after.missing) if self.before and self.after else 0.0
        return self.change != "same", max(self.distance or 0.0, missing)

    def to_dict(self) -> dict[str, Any]:
        """Return it for machines; times as ISO 8601."""
        content = asdict(self) | {"types": list(self.types), "change": self.change}
        if feature_types.find(self.feature_type).is_moment:
            for side in (content["before"], content["after"]):
                if side and side["spread"]:
                    side["spread"] = {
                        name: value if name == "sd" else _moment(value)
                        for name, value in side["spread"].items()
                    }
        return content


@dataclass(frozen=True)
class RowDifference:
    """How many rows each version has, one per key, and what became of them.

    Without a key in both, equal rows are one another; `changed` is None then.
    """

    before: int
    after: int
    added: int
    removed: int
    changed: int | None
    by: str | None


@dataclass(frozen=True)
class Difference:
    """What `compare` found; columns that changed most come first."""

    rows: RowDifference
    columns: tuple[ColumnDifference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"rows": asdict(self.rows), "columns": [column.to_dict() for column in self.columns]}


def compare(before: Table, after: Table, schema: Schema, *, cells: int = _CELLS) -> Difference:
    """Compare two versions of a table.

    Parameters
    ----------
    schema
        Names the key and each column's feature type; columns it does not name go by their stored type.
    cells
        How many are in memory at once, at most, where a column has no more.
    """
    key = schema.key if schema.key in before.types and schema.key in after.types else None
    old, new = _Side(before, key), _Side(after, key)
    names = list(dict.fromkeys([*before.types, *after.types]))
    columns: list[ColumnDifference] = []
    for group in _groups(names, max(1, cells // max(1, len(before) + len(after)))):
        old_frame, new_frame = old.read(group), new.read(group)
        for name in group:
            columns.append(_column(name, schema, (before, after), old_frame, new_frame))
            if name in before.types and name in after.types:
                types = (before.types[name], after.types[name])
                old.mix(_comparable(old_frame[name], types))
                new.mix(_comparable(new_frame[name], types))
    columns.sort(key=lambda column: column.weight, reverse=True)
    return Difference(_rows(old, new, key), tuple(columns))


def feature_type_of(name: str, stored: str, schema: Schema) -> FeatureType:
    """Return what a column's values are, by the schema or else by the type it is stored as."""
    if name in schema.types:
        return schema.types[name]
    if name == schema.time:
        return DATE
    if name == schema.target:
        return schema.task_type.target_type or CATEGORY
    if stored.startswith(_NUMBERS):
        return NUMBER
    if stored.startswith("bool"):
        return BOOLEAN
    return DATE if stored.startswith(("timestamp", "date")) else CATEGORY


class _Side:
    """One of the two versions while it is read."""

    def __init__(self, table: Table, key: str | None) -> None:
        self._table = table
        self._current: NDArray[np.bool_] | slice = slice(None)
        self.keys: NDArray[np.uint64] | None = None
        self.count = len(table)
        if key is not None:
            current = table.current_rows(key)
            self.keys = _hashes(table.read([key])[key][current].astype(str))
            self._current, self.count = current, int(current.sum())
        self.digest = np.zeros(self.count, np.uint64)

    def read(self, names: Sequence[str]) -> pd.DataFrame:
        present = [name for name in names if name in self._table.types]
        return self._table.read(present)[self._current].reset_index(drop=True) if present else _nothing()

    def mix(self, column: pd.Series) -> None:
        """Add a column to the digest of each row."""
        self.digest = np.bitwise_xor(self.digest * _PRIME, _hashes(column), dtype=np.uint64)


def _hashes(values: pd.Series) -> NDArray[np.uint64]:
    import pandas as pd

    return np.asarray(pd.util.hash_pandas_object(values, index=False), dtype=np.uint64)


def _comparable(column: pd.Series, types: tuple[str, str]) -> pd.Series:
    """Return values that are equal where a person calls them so, whatever the files' types are.

    A column of whole numbers or truth values becomes another one in memory with its first missing value.
    """
    stored_types = {part for kind in types for part in kind.split(_OR)}
    if all(kind.startswith(_NUMBERS) or kind.startswith("bool") for kind in stored_types):
        return column.astype("float64")
    return column if len(stored_types) == 1 else column.map(spelled, na_action="ignore")


def _nothing() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


def _rows(old: _Side, new: _Side, key: str | None) -> RowDifference:
    if old.keys is None or new.keys is None:
        values, where = np.unique(np.concatenate([old.digest, new.digest]), return_inverse=True)
        more = np.bincount(where[old.count :], minlength=len(values)) - np.bincount(
            where[: old.count], minlength=len(values)
        )
        added, removed = int(more[more > 0].sum()), int(-more[more < 0].sum())
        return RowDifference(old.count, new.count, added, removed, None, None)
    _, ours, theirs = np.intersect1d(old.keys, new.keys, assume_unique=True, return_indices=True)
    changed = int((old.digest[ours] != new.digest[theirs]).sum())
    return RowDifference(old.count, new.count, new.count - len(theirs), old.count - len(ours), changed, key)


def _groups(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _column(
    name: str, schema: Schema, tables: tuple[Table, Table], old: pd.DataFrame, new: pd.DataFrame
) -> ColumnDifference:
    types = (tables[0].types.get(name), tables[1].types.get(name))
    type = feature_type_of(name, types[1] or types[0] or "", schema)
    role = _role(name, schema)
    if role == "key":
        before, after = (_missing_of(side, name) for side in (old, new))
        return ColumnDifference(name, role, type.name, types, before, after)
    frames = [
        prepared(side[[name]], {name: type.name}) if name in side and type.statistic else None
        for side in (old, new)
    ]
    before, after = (_summary(side, name, type) for side in (old, new))
    distance = appeared = vanished = None
    if frames[0] is not None and frames[1] is not None:
        distance = between(frames[0], frames[1], {name: type.name}).get(name)
        if type.axis(old[name]) is None:
            ours, theirs = (_counts(frame[name], type) for frame in (frames[0], frames[1]))
            appeared, vanished = _only(theirs, ours), _only(ours, theirs)
    return ColumnDifference(name, role, type.name, types, before, after, distance, appeared, vanished)


def _role(name: str, schema: Schema) -> Role:
    if name == schema.target:
        return "target"
    if name == schema.key:
        return "key"
    if name == schema.time:
        return "time"
    return "feature" if name in schema.features else "other"


def _missing_of(frame: pd.DataFrame, name: str) -> Column | None:
    return Column(float(frame[name].isna().mean()) if len(frame) else 0.0) if name in frame else None


def _summary(frame: pd.DataFrame, name: str, type: FeatureType) -> Column | None:
    if name not in frame:
        return None
    if (places := type.axis(frame[name])) is not None:
        return _of_numbers(places)
    counts = _counts(type.measured(frame[name]), type)
    missing = float(len(frame) - counts.sum()) / len(frame) if len(frame) else 0.0
    shares = counts / counts.sum() if len(counts) else counts
    top = {str(value): float(share) for value, share in shares.head(_MOST_VALUES).items()}
    return Column(missing, values=Values(len(counts), top))


def _of_numbers(values: pd.Series) -> Column:
    there = values.dropna()
    missing = (len(values) - len(there)) / len(values) if len(values) else 0.0
    if not len(there):
        return Column(missing)
    sd = float(there.std())
    least, low, middle, high, most = (float(value) for value in there.quantile(_QUARTILES))
    return Column(
        missing, Spread(float(there.mean()), 0.0 if isnan(sd) else sd, least, low, middle, high, most)
    )


def _counts(values: pd.Series, type: FeatureType) -> pd.Series:
    """Count each value that is not missing, the most frequent first; ties by name."""
    counts = values[values.notna() & (values != "")].value_counts()
    counts.index = [spelled(value) for value in type.to_json(counts.index)]
    return counts.sort_index().sort_values(ascending=False, kind="stable")


def _only(here: pd.Series, there: pd.Series) -> dict[str, float]:
    alone = here[~here.index.isin(there.index)].head(_MOST_VALUES)
    return {str(value): float(count) / float(here.sum()) for value, count in alone.items()}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
