"""Labels: what turned out to be true, told later, by a prediction's id or a row's key.

Append-only, one Parquet file an addition. A correction is another label for the same thing;
the newest wins on reading and the older ones stay.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops.errors import DataError, MissingColumnError, UnknownLabelsError, shown
from mlops.files import hashing, parquet
from mlops.tables.cells import code, spelled

if TYPE_CHECKING:
    import pandas as pd

    from mlops.schema import Schema

__all__ = ["Added", "By", "Label", "about", "add", "join", "read"]

By = Literal["id", "key"]


@dataclass(frozen=True)
class Added:
    """What came of a table of labels.

    Parameters
    ----------
    rows
        Labels that are in now and were not before.
    unknown
        Left out: no prediction has their id or key.
    corrected
        Those of `rows` that replace an earlier label of another value.
    empty
        Left out: the table held no value for them yet.
    """

    rows: int
    unknown: int
    corrected: int
    empty: int = 0


@dataclass(frozen=True)
class Label:
    """One label that came for a prediction, by its id or by its row's key."""

    by: By
    label: Any
    at: datetime

    def __str__(self) -> str:
        return f"{self.label}, by {self.by}, added {self.at:%Y-%m-%d %H:%M}"


def add(
    folder: Path,
    table: pd.DataFrame,
    *,
    by: By,
    schema: Schema,
    known: Collection[str],
    at: datetime,
    classes: Sequence[Any] | None = None,
    skip_unknown: bool = False,
) -> Added:
    """Add the labels of a table, all of them or none.

    Adding the same table again adds nothing. Where a table names a thing twice, its last
    row counts.

    Parameters
    ----------
    table
        The target column, and a column ``id`` (``prediction_id``, as `mlops score` names it, will do)
        or the schema's key.
    by
        Which of the two names the rows.
    known
        The ids, or the keys, that predictions have: see `prediction_log.ids`.
    at
        When the labels became known, UTC.
    classes
        The labels that the served model knows. Of a binary target a label must be one of them,
        of any other it must be of their type; where None, nothing is known to compare with.

    Raises
    ------
    MissingColumnError
        The table lacks one of the two columns.
    DataError
        The schema has no key and `by` asks for it, or a label cannot be one of the target.
    UnknownLabelsError
        Some name no prediction, and `skip_unknown` is not set.
    """
    fresh = _normalised(table, by, schema)
    _check_classes(fresh["label"].dropna(), classes, schema)
    empty = int(fresh["label"].isna().sum())
    fresh = fresh[fresh["label"].notna()].drop_duplicates("value", keep="last")
    unknown = ~fresh["value"].isin(list(known))
    if unknown.any() and not skip_unknown:
        raise UnknownLabelsError(fresh.loc[unknown, "value"].tolist(), total=len(fresh), by=by)
    fresh = fresh[~unknown]
    held = _newest(folder)
    earlier = fresh["value"].map(held[held["by"] == by].set_index("value")["label"])
    fresh = fresh[earlier.isna() | (earlier != fresh["label"])]
    if len(fresh):
        _append(folder, fresh, by, at)
    corrected = int(earlier.loc[fresh.index].notna().sum())
    return Added(len(fresh), int(unknown.sum()), corrected, empty)


def read(folder: Path) -> pd.DataFrame:
    """Return the label that holds for each thing that has one: columns by, value, label, at (UTC)."""
    frame = _newest(folder)
    frame["label"] = _decoded(frame["label"])
    return frame


def about(folder: Path, *, id: str, key: str | None) -> list[Label]:
    """Return every label that came for one prediction, corrected ones too, oldest first."""
    import pyarrow.dataset as ds

    files = [str(path) for path in sorted(folder.glob("*.parquet"))]
    if not files:
        return []
    by, value = ds.field("by"), ds.field("value")
    wanted = (by == "id") & (value == id)
    if key is not None:
        wanted = wanted | ((by == "key") & (value == key))
    rows = ds.dataset(files).to_table(filter=wanted).sort_by("at").to_pylist()
    return [Label(row["by"], json.loads(row["label"]), row["at"]) for row in rows]


def join(log_frame: pd.DataFrame, labels: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the predictions of `prediction_log.read` with the target column beside them.

    A label may come by id or by key; where both did, the newest counts. The target is null
    where none did.
    """
    import pandas as pd

    newest = pd.Series(pd.NaT, index=log_frame.index, dtype=labels["at"].dtype)
    target = pd.Series(None, index=log_frame.index, dtype=object)
    for by in ("id", "key"):
        told = labels[labels["by"] == by].set_index("value").reindex(log_frame[by])
        told.index = log_frame.index
        newer = told["at"].notna() & (newest.isna() | (told["at"] > newest))
        target = target.mask(newer, told["label"].astype(object))
        newest = newest.mask(newer, told["at"])
    if schema.task == "regression":
        target = target.astype(float)
    return log_frame.assign(**{schema.target: target})


def _normalised(table: pd.DataFrame, by: By, schema: Schema) -> pd.DataFrame:
    """Return columns value (text) and label (JSON, null where the table has none)."""
    import pandas as pd

    name = schema.key if by == "key" else "id"
    if by == "id" and "id" not in table.columns and "prediction_id" in table.columns:
        name = "prediction_id"
    if name is None:
        raise DataError(
            "Labels were given by key, but the data has none.",
            remedy="Name the key column under data in params.yaml, or give labels by prediction id.",
        )
    missing = [column for column in (name, schema.target) if column not in table.columns]
    if missing:
        raise MissingColumnError(missing, have=list(map(str, table.columns)), where="The table of labels")
    values = ["" if pd.isna(value) else spelled(value) for value in table[name].tolist()]
    labels = [None if pd.isna(label) else _text(label, schema) for label in table[schema.target].tolist()]
    return pd.DataFrame({"value": pd.array(values, "str"), "label": pd.array(labels, "str")})


def _check_classes(texts: pd.Series[Any], classes: Sequence[Any] | None, schema: Schema) -> None:
    """Refuse what could never be a label: learnt from, one "yes" among truth values stops everything."""
    if not classes:
        return
    kinds = {type(known) for known in classes}
    for text in texts.unique():
        label = json.loads(text)
        if type(label) not in kinds or (schema.task == "binary" and label not in classes):
            raise DataError(
                f"{label!r} is no label of {schema.target}; the model knows {shown(list(classes), 10)}.",
                remedy="Nothing was added. Write the labels as the training data does.",
            )


def _text(label: Any, schema: Schema) -> str:
    """Write a label as JSON, which keeps text, numbers and truth apart."""
    if schema.task != "regression":
        return json.dumps(code(label))
    try:
        return json.dumps(float(label), allow_nan=False)
    except ValueError as exc:
        raise DataError(f"A label of {schema.target} is no finite number: {label!r}.") from exc


def _append(folder: Path, fresh: pd.DataFrame, by: By, at: datetime) -> None:
    import pyarrow as pa

    moment = at.astimezone(UTC)
    table = pa.table(
        {
            "by": pa.array([by] * len(fresh), pa.string()),
            "value": pa.array(fresh["value"].tolist(), pa.string()),
            "label": pa.array(fresh["label"].tolist(), pa.string()),
            "at": pa.array([moment] * len(fresh), pa.timestamp("us", "UTC")),
        }
    )
    # Named by their time, so that files in the order of their names are labels in the order they came.
    digest = hashing.of_value([by, table["value"].to_pylist(), table["label"].to_pylist()])
    parquet.write(table, folder / f"{moment:%Y%m%dT%H%M%S.%f}-{digest[:16]}.parquet")


def _newest(folder: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [("by", pa.string()), ("value", pa.string()), ("label", pa.string())]
    tables = [pa.schema([*columns, ("at", pa.timestamp("us", "UTC"))]).empty_table()]
    tables += [pq.read_table(path, partitioning=None) for path in sorted(folder.glob("*.parquet"))]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame.drop_duplicates(["by", "value"], keep="last").reset_index(drop=True)


def _decoded(texts: pd.Series[Any]) -> pd.Series[Any]:
    return texts.map({text: json.loads(text) for text in texts.unique()})
