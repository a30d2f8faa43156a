"""The label log: actual outcomes, added later by prediction id or by row key.

Append-only, one Parquet file per addition. A correction is another label for the same id or key: the
newest wins on reading, and the older ones stay.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops.errors import DataError, MissingColumnError, UnknownLabelsError, shown
from mlops.feature_types.cells import spelled
from mlops.files import formats, hashing, parquet

if TYPE_CHECKING:
    import pandas as pd

    from mlops.schema import Schema

__all__ = ["Added", "By", "Label", "add", "history", "join", "read"]

By = Literal["id", "key"]

_FORMAT = 1


@dataclass(frozen=True)
class Added:
    """Counts of an addition of labels.

    Parameters
    ----------
    rows
        Labels that were added.
    unknown
        Labels that were skipped: no prediction has their id or key.
    corrected
        Those of `rows` that replace an earlier label of another value.
    empty
        Rows that were skipped: they have no label yet.
    """

    rows: int
    unknown: int
    corrected: int
    empty: int = 0


@dataclass(frozen=True)
class Label:
    """One label of a prediction, added by its id or by its row's key."""

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

    Adding the same table again adds nothing. Where a table has an id or key twice, its last row
    counts.

    Parameters
    ----------
    table
        The target column, and a column ``id`` (or ``prediction_id``, as `mlops score` writes it) or the
        schema's key.
    by
        Which of the two identifies the rows.
    known
        The ids or keys of the predictions: see `mlops.prediction_log.reader.ids`.
    at
        When the labels became known, UTC.
    classes
        The served model's classes, see `Task.is_label`; None skips the check.

    Raises
    ------
    MissingColumnError
        The table lacks one of the two columns.
    DataError
        `by` is the key and the schema has none, or a label is invalid for the target.
    UnknownLabelsError
        No prediction has the id or key of some labels, and `skip_unknown` is not set.
    """
    new = _normalised(table, by, schema)
    _check_classes(new["label"].dropna(), classes, schema)
    empty = int(new["label"].isna().sum())
    new = new[new["label"].notna()].drop_duplicates("value", keep="last")
    unknown = ~new["value"].isin(list(known))
    if unknown.any() and not skip_unknown:
        raise UnknownLabelsError(new.loc[unknown, "value"].tolist(), total=len(new), by=by)
    new = new[~unknown]
    current = _newest(folder)
    earlier = new["value"].map(current[current["by"] == by].set_index("value")["label"])
    new = new[earlier.isna() | (earlier != new["label"])]
    if len(new):
        _append(folder, new, by, at)
    corrected = int(earlier.loc[new.index].notna().sum())
    return Added(len(new), int(unknown.sum()), corrected, empty)


def read(folder: Path) -> pd.DataFrame:
    """Return the newest label per id and key: columns by, value, label, at (UTC)."""
    frame = _newest(folder)
    frame["label"] = _decoded(frame["label"])
    return frame


def history(folder: Path, *, id: str, key: str | None) -> list[Label]:
    """Return all labels of one prediction, corrected ones included, oldest first."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    files = sorted(folder.glob("*.parquet"))
    if not files:
        return []
    for file in files:
        formats.check_table(pq.read_schema(file), _FORMAT, file=file)
    by, value = ds.field("by"), ds.field("value")
    condition = (by == "id") & (value == id)
    if key is not None:
        condition = condition | ((by == "key") & (value == key))
    rows = ds.dataset([str(file) for file in files]).to_table(filter=condition).sort_by("at").to_pylist()
    return [Label(row["by"], json.loads(row["label"]), row["at"]) for row in rows]


def join(log_frame: pd.DataFrame, labels: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the rows of `mlops.prediction_log.reader.read` with the target column added.

    Of a label by id and one by key the newer counts. The target is null without either.
    """
    import pandas as pd

    newest = pd.Series(pd.NaT, index=log_frame.index, dtype=labels["at"].dtype)
    target = pd.Series(None, index=log_frame.index, dtype=object)
    for by in ("id", "key"):
        matched = labels[labels["by"] == by].set_index("value").reindex(log_frame[by])
        matched.index = log_frame.index
        newer = matched["at"].notna() & (newest.isna() | (matched["at"] > newest))
        target = target.mask(newer, matched["label"].astype(object))
        newest = newest.mask(newer, matched["at"])
    if not schema.task_type.has_classes:
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
            "Cannot add labels by key: the data has no key column.",
            remedy="Set data.key in params.yaml, or add labels by prediction id.",
        )
    missing = [column for column in (name, schema.target) if column not in table.columns]
    if missing:
        raise MissingColumnError(missing, have=list(map(str, table.columns)), where="The table of labels")
    values = ["" if pd.isna(value) else spelled(value) for value in table[name].tolist()]
    labels = [
        None if pd.isna(label) else schema.task_type.label_to_json(label, schema.target)
        for label in table[schema.target].tolist()
    ]
    return pd.DataFrame({"value": pd.array(values, "str"), "label": pd.array(labels, "str")})


def _check_classes(texts: pd.Series[Any], classes: Sequence[Any] | None, schema: Schema) -> None:
    """Reject labels of another type: a single "yes" among booleans would break the next training."""
    if not classes:
        return
    for text in texts.unique():
        label = json.loads(text)
        if not schema.task_type.is_label(label, classes):
            raise DataError(
                f"{label!r} is not a label of {schema.target}; the model knows {shown(list(classes), 10)}.",
                remedy="Nothing was added. Write the labels as in the training data.",
            )


def _append(folder: Path, new: pd.DataFrame, by: By, at: datetime) -> None:
    import pyarrow as pa

    moment = at.astimezone(UTC)
    table = pa.table(
        {
            "by": pa.array([by] * len(new), pa.string()),
            "value": pa.array(new["value"].tolist(), pa.string()),
            "label": pa.array(new["label"].tolist(), pa.string()),
            "at": pa.array([moment] * len(new), pa.timestamp("us", "UTC")),
        }
    )
    # Named by their time, so that the order of file names is the order of additions.
    digest = hashing.of_value([by, table["value"].to_pylist(), table["label"].to_pylist()])
    file = folder / f"{moment:%Y%m%dT%H%M%S.%f}-{digest[:16]}.parquet"
    parquet.write(formats.stamped(table, _FORMAT), file)


def _newest(folder: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [("by", pa.string()), ("value", pa.string()), ("label", pa.string())]
    tables = [pa.schema([*columns, ("at", pa.timestamp("us", "UTC"))]).empty_table()]
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, partitioning=None)
        formats.check_table(table.schema, _FORMAT, file=path)
        tables.append(table.replace_schema_metadata())
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame.drop_duplicates(["by", "value"], keep="last").reset_index(drop=True)


def _decoded(texts: pd.Series[Any]) -> pd.Series[Any]:
    return texts.map({text: json.loads(text) for text in texts.unique()})
