"""What a table is: which column is for what, decided from its values, each with the reason.

`profile_table` decides what a person left open: the task, the columns that a model can be
trained on and their types, those that are left out and why, and those that leak the target.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlops import task_types
from mlops.column_formats import ColumnFormat, ColumnText, NumberFormat
from mlops.errors import DataError, UsageError, shown
from mlops.feature_types import DATE, NUMBER
from mlops.feature_types.column_reading import filled
from mlops.scaffold.columns import ColumnProfile, doubt, is_id_name, profile_column
from mlops.scaffold.event_time import event_time
from mlops.scaffold.far_dates import far_dates, named_far
from mlops.scaffold.profile_options import ProfileOptions, check_names
from mlops.scaffold.written_columns import WrittenColumns
from mlops.schema import RESERVED, Schema
from mlops.tables import readers
from mlops.tables.conform import lenient
from mlops.tables.sampling import spaced
from mlops.task_types import BINARY, MULTICLASS, REGRESSION

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Feature", "Profile", "as_ingested", "profile_table"]

_NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal")

_MOST_CLASSES = 100
_SOME = 10
"""Fewer rows of a label are too few to train on."""
_JUDGED = 4000
"""Rows on which it is judged whether a column gives the target away."""
_FEW_NUMBERS = 10
"""Whole numbers of at most so many values are labels, where they are the target."""


@dataclass(frozen=True)
class Feature:
    """A column that a model may be trained on.

    Parameters
    ----------
    note
        What its values are, for a person; never empty.
    """

    name: str
    type: str
    note: str


@dataclass(frozen=True)
class Profile:
    """What was decided of a table.

    Parameters
    ----------
    classes
        The labels, most frequent first, where the task has such.
    left_out
        Column → why a model does not see it.
    suspects
        Features that by themselves nearly tell the target.
    decided
        What was decided where the options leave it open, a sentence each.
    written
        How the columns are written.
    """

    target: str
    task: str
    time: str | None
    key: str | None
    features: Sequence[Feature]
    left_out: dict[str, str]
    classes: Sequence[Any]
    unlabelled: float
    suspects: Sequence[str] = ()
    decided: Sequence[str] = ()
    written: WrittenColumns = field(default_factory=WrittenColumns)

    def schema(self) -> Schema:
        """Return the columns as the loop knows them."""
        types = {feature.name: feature.type for feature in self.features}
        named = [name for name in (*types, self.target, self.time, self.key) if name]
        return Schema(types, self.target, self.task, self.time, self.key, **self.written.named(named))


def profile_table(
    sample: pd.DataFrame,
    options: ProfileOptions,
    *,
    untyped: bool = True,
    repeated: Collection[str] = (),
    texts: Mapping[str, ColumnText] | None = None,
) -> Profile:
    """Decide what each column of a table is for.

    Parameters
    ----------
    sample
        Rows from all of the table, values as read.
    untyped
        Text may stand for numbers and booleans, as in a CSV. Elsewhere it stays text, as it will when
        the table is ingested.
    repeated
        Columns known to have duplicate values, maybe in rows that are not in the sample.
    texts
        By column the text of all rows; None where the sample has them all.

    Raises
    ------
    UsageError
        A column that the options name is missing, or cannot have that role.
    DataError
        The target has one value only, no column is left to predict it from, or one cannot be read surely.
    """
    raw = sample = readers.composed(sample, options.formats)
    check_names(sample, options)
    written = _written(sample, texts, options, untyped=untyped)
    sample = readers.read_written(sample, written.formats, written.missing)
    target, task, counts, decided = _target(sample, options, written, untyped=untyped)
    others = sample.drop(columns=options.target)
    columns = {str(name): _profile_column(others[name], written, untyped=untyped) for name in others}
    when = event_time(sample, raw, columns, options, written)
    time, written = when.column, when.of(written)
    sample = readers.composed(sample, written.formats)
    if time is not None and time not in columns:
        columns[time] = profile_column(sample[time], untyped=untyped)
    _leave_out_parts(columns, written)
    key, why = _key(columns, options, time, repeated)
    features, left_out, notes = _features(columns, options, time=time, key=key)
    decided += [*when.notes, *filter(None, [why]), *notes, *_far_notes(features, sample, raw, without=time)]
    written.refuse_open(used := [feature.name for feature in features])
    profile = Profile(
        options.target, task, time, key, features, left_out, list(counts),
        float(target.isna().mean()), decided=[*written.notes([*used, options.target]), *decided],
        written=written,
    )  # fmt: skip
    written.refuse_unread(profile.schema())
    return _with_suspects(profile, sample[target.notna()], untyped=untyped)


def _written(
    sample: pd.DataFrame, texts: Mapping[str, ColumnText] | None, options: ProfileOptions, *, untyped: bool
) -> WrittenColumns:
    return WrittenColumns.of(
        sample,
        texts,
        named=options.formats,
        missing=options.missing,
        exclude=options.exclude,
        target=options.target,
        untyped=untyped,
    )


def _target(
    sample: pd.DataFrame, options: ProfileOptions, written: WrittenColumns, *, untyped: bool
) -> tuple[pd.Series[Any], str, dict[Any, int], list[str]]:
    """Return the target as ingestion will read it, the task, its labels with their rows, and the reasons."""
    written.refuse_open([options.target])
    target = sample[options.target]
    if untyped:
        schema = Schema({}, options.target, MULTICLASS.name)
        target = readers.as_typed(target.to_frame(), schema)[options.target]
    target = filled(target)
    is_measure = _is_measure(written.formats.get(options.target))
    doubts = written.doubt(options.target)
    task, counts, why = _task(target, options, untyped=untyped, is_measure=is_measure, doubts=doubts)
    decided = [why] if why else []
    rare = [label for label, count in counts.items() if count < _SOME]
    if rare:
        named = shown([f"{label} ({counts[label]})" for label in rare])
        decided.append(f"{options.target} has few rows of {named}: a model can hardly be trained on them.")
    return target, task, counts, decided


def _profile_column(column: pd.Series[Any], written: WrittenColumns, *, untyped: bool) -> ColumnProfile:
    """Infer a column's type; where it is not certain how it is written, that is its doubt."""
    profile = profile_column(column, untyped=untyped)
    if column.name in written.codes and profile.type is NUMBER:
        return profile_column(column, untyped=False)
    doubts = written.doubt(str(column.name))
    return replace(profile, doubt=doubts.rstrip("."), is_written=True) if doubts else profile


def _far_notes(
    features: Sequence[Feature], sample: pd.DataFrame, raw: pd.DataFrame, *, without: str | None
) -> list[str]:
    """Return which dates stand for none, a sentence for each feature that has such."""
    dates = [each.name for each in features if each.type == DATE.name and each.name != without]
    return [named_far(name, far) for name in dates if (far := far_dates(sample[name], raw[name]))]


def _leave_out_parts(columns: dict[str, ColumnProfile], written: WrittenColumns) -> None:
    """Leave out what another column is made of: a model sees the parts of that."""
    for name, format in written.formats.items():
        for part in format.sources:
            columns[part] = replace(columns[part], drop=f"a part of {name}", doubt="")


def _is_measure(format: ColumnFormat | None) -> bool:
    """Return whether a format is that of an amount: no label is written with separators or a unit."""
    return isinstance(format, NumberFormat) and format != NumberFormat()


def _features(
    columns: dict[str, ColumnProfile], options: ProfileOptions, *, time: str | None, key: str | None
) -> tuple[list[Feature], dict[str, str], list[str]]:
    """Return the features, why each other column is left out, and what a person should check."""
    wanted = [name for name in options.features or columns if name not in options.exclude]
    parts = {f"{name}.{part}": name for name in wanted if (type := columns[name].type) for part in type.parts}
    features: list[Feature] = []
    left_out = dict.fromkeys(options.exclude, "you excluded it")
    notes: list[str] = []
    for name in wanted:
        if name == key:
            continue
        if name == time:
            features.append(
                Feature(name, DATE.name, "month, day, day of the year, weekday and hour of the event")
            )
            continue
        column = columns[name]
        if name in RESERVED:
            left_out[name] = "the prediction log has a column of that name: rename it to use it"
        elif name in parts:
            left_out[name] = f"a part of {parts[name]}, a date, has that name: rename it to use it"
        elif column.type is None or (column.drop and name not in options.features):
            doubt_of_it = f"it {column.doubt.removeprefix(f'{name} ')}" if column.is_written else column.doubt
            left_out[name] = doubt_of_it or column.drop
        else:
            features.append(Feature(name, column.type.name, column.note))
            if column.doubt and not column.is_written:  # else it is noted already
                notes.append(f"{name} is a {column.type.name}: {column.doubt}.")
    if not features:
        reasons = shown([f"{name} ({reason})" for name, reason in left_out.items()])
        raise DataError(
            f"No column is left to predict {options.target} from: {reasons}.",
            remedy="Name the columns to use with --features.",
        )
    return features, left_out, notes


def _task(
    column: pd.Series[Any], options: ProfileOptions, *, untyped: bool, is_measure: bool, doubts: str
) -> tuple[str, dict[Any, int], str]:
    """Return the task, its labels, most frequent first, with their rows, and a sentence if it is a guess."""
    import pandas as pd
    from pandas.api import types

    target, known = options.target, column.dropna()
    if not len(known):
        raise DataError(
            f"The target {target} has no value in any row.", remedy="Give a table whose labels are known."
        )
    try:
        known.nunique()
    except TypeError as exc:
        raise DataError(
            f"The target {target} holds nested values, as {shown([known.iloc[0]])}.",
            remedy="Choose a --target of numbers, booleans or text.",
        ) from exc
    numeric = types.infer_dtype(known) in _NUMERIC
    numbers = pd.to_numeric(known, errors="coerce")
    task = options.task or (
        REGRESSION.name if numeric and is_measure else _guessed(known, numbers if numeric else None)
    )
    if not task_types.find(task).has_classes:
        if not numeric:
            example = (known[numbers.isna()] if numbers.isna().any() else known).iloc[0]
            raise UsageError(
                f"--task {task}: {target} holds {example!r}, which is no number.",
                remedy="Leave --task out, or correct the table.",
            )
        if known.nunique() < 2:
            raise DataError(f"The target {target} is {known.iloc[0]} in every row.", remedy=_NOTHING)
        fact = f"{target} is a number from {numbers.min():g} to {numbers.max():g}"
        return task, {}, "" if options.task else f"{fact}: the task is {task}."
    counts = {
        label: int(count) for label, count in task_types.find(task).read_target(known).value_counts().items()
    }
    classes = list(counts)
    if len(classes) < 2:
        where, remedy = "in every row", _NOTHING
        if missing := float(column.isna().mean()):
            where = f"in {1 - missing:.1%} of the rows and missing in the others, which have no label then"
            remedy = "If a missing one is a label, too, write it out, as no; else give rows of other labels."
        raise DataError(f"The target {target} is {shown(classes)} {where}.", remedy=remedy)
    if len(classes) > _MOST_CLASSES:
        why = f": {hint.rstrip('.')}" if (hint := doubts or doubt(known, untyped=untyped)) else ""
        raise UsageError(
            f"The target {target} has {len(classes):,} labels; a classification of more than "
            f"{_MOST_CLASSES} is not proposed{why}.",
            remedy="Choose another --target" + (", or --task regression." if numeric else "."),
        )
    most = task_types.find(task).most_classes
    if most is not None and len(classes) > most:
        raise UsageError(
            f"--task {task}: {target} has {len(classes)} labels: {shown(classes)}.",
            remedy="Use --task multiclass, or correct the table.",
        )
    fact = f"{target} is one of {shown(classes)}"
    return task, counts, "" if options.task else f"{fact}: the task is {task}."


_NOTHING = "Give rows with at least two different labels or values."


def _guessed(known: pd.Series[Any], numbers: pd.Series[Any] | None) -> str:
    distinct = known.nunique()
    if distinct <= 2:
        return BINARY.name if numbers is None or bool((numbers % 1 == 0).all()) else REGRESSION.name
    if numbers is None:
        return MULTICLASS.name
    whole = bool((numbers % 1 == 0).all())
    return MULTICLASS.name if whole and distinct <= _FEW_NUMBERS else REGRESSION.name


def _key(
    columns: dict[str, ColumnProfile], options: ProfileOptions, time: str | None, repeated: Collection[str]
) -> tuple[str | None, str]:
    if options.key is not None:
        if options.key in repeated:
            return (
                options.key,
                f"{options.key} has duplicates: of rows with the same key, the later is trained on.",
            )
        return options.key, ""
    fitting = [
        name
        for name, column in columns.items()
        if column.drop and column.unique and name not in repeated and is_id_name(name)
        and name != time and name not in options.features and name not in options.exclude
    ]  # fmt: skip
    if len(fitting) != 1:
        return None, ""
    return fitting[0], f"{fitting[0]} identifies each row: it is the key that labels are matched by."


def _with_suspects(profile: Profile, rows: pd.DataFrame, *, untyped: bool) -> Profile:
    from mlops.scaffold.leakage import suspects

    usable = rows.iloc[spaced(len(rows), most=_JUDGED)]
    schema = profile.schema()
    return replace(profile, suspects=suspects(as_ingested(usable, schema, untyped=untyped), schema))


def as_ingested(sample: pd.DataFrame, schema: Schema, *, untyped: bool) -> pd.DataFrame:
    """Return a sample as the lake will have its rows; a value that cannot be used is missing.

    Parameters
    ----------
    untyped
        As for `profile_table`.
    """
    typed = readers.as_typed(sample, schema) if untyped else sample
    missing = {name: schema.missing_words(name) for name in schema.named}
    typed = readers.read_written(typed, schema.formats, missing)
    return lenient(readers.composed(typed, schema.formats), schema)
