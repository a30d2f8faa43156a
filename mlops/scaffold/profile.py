"""What a table is: which column is for what, decided from its values, each with the reason.

`look` decides for a person who has said little: what the task is, which columns a model can
learn from and of which type each is, which are left out and why, and which give the target away.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mlops import task_types
from mlops.errors import DataError, UsageError, shown
from mlops.feature_types import DATE
from mlops.feature_types.column_reading import filled
from mlops.scaffold.columns import Seen, doubt, names_rows, see
from mlops.schema import RESERVED, Schema
from mlops.tables import readers
from mlops.tables.conform import lenient
from mlops.tables.sampling import spaced
from mlops.task_types import BINARY, MULTICLASS, REGRESSION

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Asked", "Feature", "Profile", "as_ingested", "look"]

_NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal")

_MOST_CLASSES = 100
_SOME = 10
"""Fewer rows of a label are too few to learn it from, and to hold some of them out while fitting."""
_JUDGED = 4000
"""Rows on which it is judged whether a column gives the target away."""
_FEW_NUMBERS = 10
"""Whole numbers of at most so many values are labels, where they are the target."""
_TIME = re.compile(
    r"(^|[_\s.-])(time|timestamp|datetime|date|ts|at|on|hour|day|month|week|when)($|[_\s.-])", re.I
)
_NOT_TIME = re.compile(r"birth|dob|due|deadline|expir|until|end", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """What a person said of the table; all but the target may be left open."""

    target: str
    time: str | None = None
    key: str | None = None
    task: str | None = None
    features: Collection[str] = ()
    exclude: Collection[str] = ()


@dataclass(frozen=True)
class Feature:
    """A column that a model may learn from.

    Parameters
    ----------
    note
        What was seen of it, for a person; never empty.
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
    rare
        Labels that few rows have.
    suspects
        Features that by themselves nearly tell the target.
    decided
        What was decided without being asked, a sentence each.
    """

    target: str
    task: str
    time: str | None
    key: str | None
    features: Sequence[Feature]
    left_out: dict[str, str]
    classes: Sequence[Any]
    unlabelled: float
    rare: Sequence[Any] = ()
    suspects: Sequence[str] = ()
    decided: Sequence[str] = ()

    def schema(self) -> Schema:
        """Return the columns as the loop knows them."""
        types = {feature.name: feature.type for feature in self.features}
        return Schema(types, self.target, self.task, self.time, self.key)


def look(
    sample: pd.DataFrame, asked: Asked, *, untyped: bool = True, repeated: Collection[str] = ()
) -> Profile:
    """Decide what each column of a table is for.

    Parameters
    ----------
    sample
        Rows from all of the table, values as read.
    untyped
        Text may stand for numbers and truths, as in a CSV. Elsewhere it stays text, as it will when
        the table is ingested.
    repeated
        Columns of which it is known that a value comes again, be it in rows that are not in the sample.

    Raises
    ------
    UsageError
        A column that was asked for is not there, or cannot be what it was asked to be.
    DataError
        The target holds nothing to learn, or no column is left to learn from.
    """
    _check_names(sample, asked)
    decided: list[str] = []
    target = sample[asked.target]
    if untyped:  # as ingestion will read it
        target = readers.as_typed(target.to_frame(), Schema({}, asked.target, MULTICLASS.name))[asked.target]
    target = filled(target)
    task, counts, why = _task(target, asked, untyped=untyped)
    decided += [why] if why else []
    rare = [label for label, count in counts.items() if count < _SOME]
    if rare:
        named = shown([f"{label} ({counts[label]})" for label in rare])
        decided.append(
            f"{asked.target} is {named} in too few rows to learn that from: early stopping is off, which "
            "holds some of each label out."
        )
    seen = {str(name): see(sample[name], untyped=untyped) for name in sample if name != asked.target}
    time, why = _time(sample, seen, asked)
    decided += [why] if why else []
    key, why = _key(seen, asked, time, repeated)
    decided += [why] if why else []
    wanted = [name for name in asked.features or seen if name not in asked.exclude]
    parts = {f"{name}.{part}": name for name in wanted if (type := seen[name].type) for part in type.parts}
    features: list[Feature] = []
    left_out = dict.fromkeys(asked.exclude, "you excluded it")
    for name in wanted:
        if name == key:
            continue
        if name == time:
            features.append(Feature(name, DATE.name, "month, weekday and hour of the event"))
            continue
        found = seen[name]
        forced = name in asked.features
        if name in RESERVED:
            left_out[name] = "the prediction log has a column of that name: rename it to use it"
        elif name in parts:
            left_out[name] = f"a part of {parts[name]}, a date, has that name: rename it to use it"
        elif found.type is None or (found.drop and not forced):
            left_out[name] = found.doubt or found.drop
        else:
            features.append(Feature(name, found.type.name, found.note))
            decided += [f"{name} is a {found.type.name}: {found.doubt}."] if found.doubt else []
    if not features:
        reasons = shown([f"{name} ({reason})" for name, reason in left_out.items()])
        raise DataError(
            f"No column is left to learn {asked.target} from: {reasons}.",
            remedy="Name the columns to use with --features.",
        )
    profile = Profile(
        asked.target, task, time, key, features, left_out, list(counts),
        float(target.isna().mean()), rare, decided=decided,
    )  # fmt: skip
    return _with_suspects(profile, sample[target.notna()], untyped=untyped)


def _check_names(sample: pd.DataFrame, asked: Asked) -> None:
    have = [str(name) for name in sample.columns]
    named = {
        "--target": [asked.target],
        "--time": [asked.time] if asked.time else [],
        "--key": [asked.key] if asked.key else [],
        "--features": list(asked.features),
        "--exclude": list(asked.exclude),
    }
    for option, names in named.items():
        for name in names:
            if name not in have:
                near = get_close_matches(name, have, 1, 0.6)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise UsageError(
                    f"{option}: the table has no column {name!r}; it has {shown(have, 30)}.",
                    remedy=f"Correct {option}.{hint}",
                )
    roles = [name for name in (asked.target, asked.time, asked.key) if name]
    if twice := next((name for name in roles if roles.count(name) > 1), None):
        raise UsageError(
            f"{twice!r} is asked to be two things.", remedy="Give each role a column of its own."
        )
    if asked.target in asked.features:
        raise UsageError(f"--features names the target, {asked.target!r}.", remedy="Leave it out.")
    if asked.target in RESERVED:
        raise UsageError(
            f"--target: the prediction log has columns of its own, one of them {asked.target!r}.",
            remedy=f"Rename the column; not as one of {shown(sorted(RESERVED), 9)}.",
        )


def _task(column: pd.Series[Any], asked: Asked, *, untyped: bool) -> tuple[str, dict[Any, int], str]:
    """Return the task, its labels, most frequent first, with their rows, and a sentence if it is a guess."""
    import pandas as pd
    from pandas.api import types

    target, known = asked.target, column.dropna()
    if not len(known):
        raise DataError(
            f"The target {target} has no value in any row.", remedy="Give a table whose labels are known."
        )
    try:
        known.nunique()
    except TypeError as exc:
        raise DataError(
            f"The target {target} holds nested values, as {shown([known.iloc[0]])}.",
            remedy="Choose a --target of numbers, truths or text.",
        ) from exc
    numeric = types.infer_dtype(known) in _NUMERIC
    numbers = pd.to_numeric(known, errors="coerce")
    task = asked.task or _guessed(known, numbers if numeric else None)
    if not task_types.find(task).has_classes:
        if not numeric:
            example = (known[numbers.isna()] if numbers.isna().any() else known).iloc[0]
            raise UsageError(
                f"--task {task}: {target} holds {example!r}, which is no number.",
                remedy="Leave --task out, or correct the table.",
            )
        if known.nunique() < 2:
            raise DataError(f"The target {target} is {known.iloc[0]} in every row.", remedy=_NOTHING)
        said = f"{target} is a number from {numbers.min():g} to {numbers.max():g}"
        return task, {}, "" if asked.task else f"{said}: the task is {task}."
    counts = {
        label: int(count) for label, count in task_types.find(task).read_target(known).value_counts().items()
    }
    classes = list(counts)
    if len(classes) < 2:
        raise DataError(f"The target {target} is {shown(classes)} in every row.", remedy=_NOTHING)
    if len(classes) > _MOST_CLASSES:
        why = f": {found}" if (found := doubt(known, untyped=untyped)) else ""
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
    said = f"{target} is one of {shown(classes)}"
    return task, counts, "" if asked.task else f"{said}: the task is {task}."


_NOTHING = "There is nothing to learn: give rows of each kind."


def _guessed(known: pd.Series[Any], numbers: pd.Series[Any] | None) -> str:
    distinct = known.nunique()
    if distinct <= 2:
        return BINARY.name if numbers is None or bool((numbers % 1 == 0).all()) else REGRESSION.name
    if numbers is None:
        return MULTICLASS.name
    whole = bool((numbers % 1 == 0).all())
    return MULTICLASS.name if whole and distinct <= _FEW_NUMBERS else REGRESSION.name


def _time(sample: pd.DataFrame, seen: dict[str, Seen], asked: Asked) -> tuple[str | None, str]:
    if asked.time is not None:
        if seen[asked.time].type is not DATE:
            example = sample[asked.time].dropna().head(1).tolist()
            raise UsageError(
                f"--time: {asked.time} holds {shown(example) or 'nothing'}, which is no time that is known.",
                remedy="Write times as 2013-07-04T15:00:00Z or 2013-07-04, or leave --time out.",
            )
        if missing := int(sample[asked.time].isna().sum()):
            raise UsageError(
                f"--time: {asked.time} is missing in {missing:,} rows of the sample.",
                remedy="Every row needs its time: leave those rows out, or leave --time out.",
            )
        return asked.time, ""
    dates = [
        name
        for name, found in seen.items()
        if found.type is DATE and not _NOT_TIME.search(name)
        and name not in asked.exclude and sample[name].notna().all() and sample[name].nunique() > 1
    ]  # fmt: skip
    fitting = [name for name in dates if _TIME.search(name)]
    if len(fitting) == 1:
        return fitting[0], f"{fitting[0]} is the event time: windows of training and monitoring run on it."
    if not dates:
        return None, ""
    what = f"{dates[0]} holds" if len(dates) == 1 else f"{shown(dates)} hold"
    return None, f"{what} dates: where one tells when a row's event was, name it with --time."


def _key(
    seen: dict[str, Seen], asked: Asked, time: str | None, repeated: Collection[str]
) -> tuple[str | None, str]:
    if asked.key is not None:
        if asked.key in repeated:
            return asked.key, f"{asked.key} comes again: of rows with one key the later is learnt from."
        return asked.key, ""
    fitting = [
        name
        for name, found in seen.items()
        if found.drop and found.unique and name not in repeated and names_rows(name)
        and name != time and name not in asked.features and name not in asked.exclude
    ]  # fmt: skip
    if len(fitting) != 1:
        return None, ""
    return fitting[0], f"{fitting[0]} names each row: it is the key, by which labels may come."


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
        As for `look`.
    """
    return lenient(readers.as_typed(sample, schema) if untyped else sample, schema)
