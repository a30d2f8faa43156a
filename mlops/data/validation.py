"""A batch checked against its contract: rows that are good, rows that are bad and why, reasons to refuse it.

A table is checked some rows at a time; rules on the whole batch are checked at the end.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from reprlib import repr as bounded
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops import feature_types
from mlops.column_formats import is_missing_word
from mlops.data.contract import ColumnRule, Contract
from mlops.data.quarantine_bias import BiasTest, QuarantineBias
from mlops.errors import DataError, shown
from mlops.feature_types import CATEGORY
from mlops.feature_types.cells import plain, spelled
from mlops.feature_types.column_reading import filled
from mlops.files.yaml import yaml_line
from mlops.schema import Schema
from mlops.tables.conform import usable
from mlops.tables.duplicates import Repeats

if TYPE_CHECKING:
    import pandas as pd

    Mask = np.ndarray[Any, np.dtype[np.bool_]]

__all__ = ["REASON", "Checked", "Inspection", "Reason", "check"]

REASON = "reason"
"""The column with what is wrong with a bad row; ``_reason`` if the table has one of that name."""


@dataclass(frozen=True)
class Reason:
    """Why rows are bad: a rule that a column breaks, in how many rows, and with what for example."""

    column: str
    rule: str
    rows: int
    example: str

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"{self.column} is {self.rule}: {rows}, as {self.example}"


@dataclass(frozen=True)
class Checked:
    """The result of checking a table against a contract.

    Parameters
    ----------
    good
        The rows that keep it, with the labels as the contract spells them.
    bad
        The others as they came, with a column `REASON`.
    reasons
        Most frequent first.
    refusals
        Why the batch as a whole is refused; empty where it is not.
    """

    good: pd.DataFrame
    bad: pd.DataFrame
    reasons: tuple[Reason, ...]
    refusals: tuple[str, ...]


def check(frame: pd.DataFrame, contract: Contract, schema: Schema, now: datetime) -> Checked:
    """Check a table against its contract."""
    inspection = Inspection(contract, schema)
    good, bad = inspection.take(frame)
    return Checked(good, bad, inspection.reasons(), inspection.refusals(now))


class Inspection:
    """Checks one batch, piece by piece. It keeps counts, and for unique columns 8 bytes per value.

    Parameters
    ----------
    sparse
        The table leaves out what is null, as JSON lines do: a column that may be missing in every row
        may be so by not being there.
    """

    def __init__(self, contract: Contract, schema: Schema, *, sparse: bool = False) -> None:
        self._contract = contract
        self._schema = schema
        self._rules = dict(contract.columns)
        self._left_out = self._nullable() if sparse else []
        self._repeats = {name: Repeats() for name in contract.unique}
        self._nulls: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}
        self._refused: list[str] = []
        self._newest: pd.Timestamp | None = None
        self._bias = BiasTest(schema)
        self.rows = 0
        self.bad = 0
        self.late = False
        """Whether the table has no labels yet, and may come without."""

    def take(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the good and the bad rows of a piece; a column that is not there makes none bad."""
        import pandas as pd

        frame = frame.reset_index(drop=True)
        if self._left_out:
            frame = frame.assign(**{name: None for name in self._left_out if name not in frame})
        self._missing(frame)
        wrong: list[tuple[str, np.ndarray[Any, Any], str]] = []
        known: dict[str, pd.Series[Any]] = {}
        for name in self._named(frame):
            known[name], unusable = self._typed(frame[name])
            for mask, allowed in unusable:
                may_be_missing = name not in (self._schema.time, self._schema.key)
                wrong += [(name, *each) for each in _mistyped(frame[name], mask, allowed, may_be_missing)]
            self._nulls[name] += int(known[name].isna().sum()) - sum(int(mask.sum()) for mask, _ in unusable)
        values = pd.DataFrame(known, index=frame.index)
        wrong += self._rule_breakers(values)
        unique = [name for name in self._contract.unique if name in frame]
        wrong += [(name, self._repeats[name].mark(frame[name]), "not unique") for name in unique]
        reasons = self._explain(frame, wrong)
        bad = reasons.astype(bool)
        self._bias.take(frame, values, wrong, reasons.to_numpy(object))
        self.rows += len(frame)
        self.bad += int(bad.sum())
        if self._schema.time in values and not bad.all():
            newest = values.loc[~bad, self._schema.time].max()
            self._newest = newest if self._newest is None else max(self._newest, newest)
        good = frame[~bad].assign(**{n: c[~bad] for n, c in known.items() if n == self._schema.target})
        column = REASON
        while column in frame:  # the table's own stays
            column = f"_{column}"
        return good, frame[bad].assign(**{column: reasons[bad]})

    def reasons(self) -> tuple[Reason, ...]:
        """Return why rows are bad, the most frequent first."""
        return tuple(
            Reason(column, rule, rows, self._examples[column, rule])
            for (column, rule), rows in self._reasons.most_common()
        )

    def biases(self) -> tuple[QuarantineBias, ...]:
        """Return what bad rows have in common, where they are no random part of the batch."""
        return self._bias.findings() if self.bad else ()

    @property
    def hopeless(self) -> bool:
        """Whether the batch is refused whatever rows follow: columns are missing or unusable."""
        return bool(self._refused)

    def refusals(self, now: datetime) -> tuple[str, ...]:
        """Return why the whole batch is refused, once all of it was taken."""
        return (*self._refused, *self._shares(), *self._counts(now))

    def _missing(self, frame: pd.DataFrame) -> None:
        """Refuse what lacks a column; a target may be missing where every label may be."""
        if self._refused:
            return
        schema = self._schema
        late = schema.target in self._rules and self._may_be_null(schema.target)
        wanted = {*schema.named, *self._rules, *self._contract.unique}
        absent = wanted - set(frame.columns) - ({schema.target} if late else set())
        self.late = late and schema.target not in frame
        if absent:
            present = shown(list(frame.columns), 30)
            self._refused = [f"There is no column {shown(sorted(absent))}; there are {present}."]

    def _may_be_null(self, name: str) -> bool:
        """Return whether the contract lets a column be missing in every row."""
        rule = self._rules.get(name)
        return rule is None or rule.nulls in (None, 1.0)

    def _nullable(self) -> list[str]:
        needed = {self._schema.target, self._schema.time, self._schema.key, *self._contract.unique}
        named = dict.fromkeys([*self._schema.features, *self._rules])
        return [name for name in named if name not in needed and self._may_be_null(name)]

    def _named(self, frame: pd.DataFrame) -> list[str]:
        return [name for name in dict.fromkeys([*self._schema.named, *self._rules]) if name in frame]

    def _typed(self, column: pd.Series[Any]) -> tuple[pd.Series[Any], list[tuple[np.ndarray[Any, Any], str]]]:
        """Return a column as the lake has it, missing where a value is unusable, and which those are."""
        import pandas as pd

        name, rule = str(column.name), self._rules.get(str(column.name))
        if rule is not None and rule.type == "label" and rule.allowed is not None:
            return _spell_labels(column, rule), []
        try:
            whole, unusable = self._read(column, rule)
        except DataError as exc:  # of the column as a whole
            self._refused = list(dict.fromkeys([*self._refused, exc.message]))
            whole, unusable = pd.Series(index=column.index, name=name, dtype=object), []
        if whole.dtype == object or isinstance(whole.dtype, pd.StringDtype):
            whole = whole.mask(whole.isin([""]) | whole.isna(), None)
        return whole, unusable

    def _read(
        self, column: pd.Series[Any], rule: ColumnRule | None
    ) -> tuple[pd.Series[Any], list[tuple[np.ndarray[Any, Any], str]]]:
        if column.name in self._schema.named:
            return usable(column, self._schema)
        assert rule is not None  # only the contract names other columns
        # A column that only the contract names is read as a feature would be.
        return usable(
            column.rename("it"),
            Schema({"it": rule.type if rule.type in feature_types.REGISTER else CATEGORY.name}, "", "binary"),
        )

    def _rule_breakers(self, values: pd.DataFrame) -> Iterator[tuple[str, np.ndarray[Any, Any], str]]:
        """Have pandera look for values that are missing, out of range or not among the allowed."""
        pandera = _pandera()
        columns = {name: _column(rule) for name, rule in self._rules.items() if name in values}
        try:
            pandera.DataFrameSchema(columns).validate(values, lazy=True)
        except pandera.errors.SchemaErrors as exc:
            for (name, rule), cases in exc.failure_cases.groupby(["column", "check"], sort=False):
                mask = np.zeros(len(values), dtype=bool)
                mask[cases["index"].to_numpy(dtype=int)] = True
                yield str(name), mask, "missing" if rule == "not_nullable" else str(rule)

    def _explain(self, frame: pd.DataFrame, wrong: list[tuple[str, Any, str]]) -> pd.Series[Any]:
        """Return what is wrong with each row, nothing where it is good, and count it."""
        import pandas as pd

        reasons = np.full(len(frame), "", dtype=object)
        # A value of the wrong type is missing only because of that.
        mistyped = {
            (name, row)
            for name, mask, rule in wrong
            if rule.startswith("not ")
            for row in np.flatnonzero(mask)
        }
        for name, mask, rule in wrong:
            values = frame[name].to_numpy(dtype=object)
            for row in np.flatnonzero(mask):
                if rule == "missing" and (name, row) in mistyped:
                    continue
                value = "" if rule == "missing" else f" {bounded(plain(values[row]))}"
                self._reasons[name, rule] += 1
                self._examples.setdefault((name, rule), value.strip() or "an empty cell")
                reasons[row] += f"{'; ' if reasons[row] else ''}{name}:{value} is {rule}"
        return pd.Series(reasons, index=frame.index, dtype=object)

    def _shares(self) -> Iterator[str]:
        for name, rule in self._rules.items():
            share = self._nulls[name] / max(1, self.rows)
            if rule.nulls and share > rule.nulls:
                yield f"{name} is missing in {share:.1%} of the rows; nulls allows {rule.nulls:.1%}."
        share = self.bad / max(1, self.rows)
        if self.bad and self._contract.policy == "refuse":
            yield f"{self.bad:,} of {self.rows:,} rows are bad, and policy is refuse."
        elif share > self._contract.max_bad:
            allowed = f"max_bad allows {self._contract.max_bad:.1%}"
            yield f"{self.bad:,} of {self.rows:,} rows are bad ({share:.1%}); {allowed}."

    def _counts(self, now: datetime) -> Iterator[str]:
        least, most = self._contract.rows.min, self._contract.rows.max
        if self.rows < least or (most is not None and self.rows > most):
            allowed = f"at least {least:,}" if most is None else f"{least:,} to {most:,}"
            yield f"There are {self.rows:,} rows; rows allows {allowed}."
        oldest = self._contract.freshness
        if oldest is not None and self._newest is not None and now - self._newest.to_pydatetime() > oldest:
            newest = f"{self._newest:%Y-%m-%d %H:%M}"
            yield f"The newest row is of {newest}, at {now:%Y-%m-%d %H:%M}; freshness allows {oldest}."


def _mistyped(
    column: pd.Series[Any], mask: Mask, allowed: str, may_be_missing: bool
) -> Iterator[tuple[Mask, str]]:
    """Yield which values are not of the type, and the rule; of a word for a missing value what to write."""
    values = column.to_numpy(dtype=object)
    rows = np.flatnonzero(mask) if may_be_missing else ()
    words = {row: values[row].strip() for row in rows if _is_missing_word(values[row])}
    for word in dict.fromkeys(words.values()):
        these = np.zeros(len(mask), dtype=bool)
        these[[row for row, text in words.items() if text == word]] = True
        setting = yaml_line({str(column.name): [word]})
        yield these, f"not {allowed} (if it is missing: data.missing, {setting})"
    others = mask.copy()
    others[list(words)] = False
    if others.any():
        yield others, f"not {allowed}"


def _is_missing_word(value: Any) -> bool:
    return isinstance(value, str) and is_missing_word(value)


def _pandera() -> Any:
    """Import pandera.

    For the sake of another package it has pyarrow leave time zones out of account from then on, here
    and in every process that is started: times would be off by their zone's hours.
    """
    variable = "PYARROW_IGNORE_TIMEZONE"
    before = os.environ.get(variable)
    import pandera.pandas

    if before is None:
        os.environ.pop(variable, None)
    return pandera.pandas


def _column(rule: ColumnRule) -> Any:
    """Return a rule as pandera has it."""
    pandera = _pandera()
    checks: list[Any] = []
    if rule.min is not None:
        checks.append(_check(lambda values: values >= rule.min, rule, f"less than {_spell(rule.min)}"))
    if rule.max is not None:
        checks.append(_check(lambda values: values <= rule.max, rule, f"more than {_spell(rule.max)}"))
    if rule.allowed is not None:
        values = list(rule.allowed) if rule.type == "label" else list(rule.categories or ())
        checks.append(pandera.Check.isin(values, error=f"none of {shown(values)}"))
    return pandera.Column(None, checks, nullable=rule.nulls != 0)


def _check(holds: Callable[[pd.Series[Any]], pd.Series[Any]], rule: ColumnRule, error: str) -> Any:
    """Return a bound as pandera has it, which the rule's sentinels may exceed."""
    far = rule.sentinels

    def allowed(values: pd.Series[Any]) -> Any:
        return holds(values) | values.isin(far) if far else holds(values)

    return _pandera().Check(allowed, error=error)


def _spell_labels(column: pd.Series[Any], rule: ColumnRule) -> pd.Series[Any]:
    """Spell labels as the contract does; what it does not list stays as it came."""
    import pandas as pd

    listed: dict[str, Any] = {_label(value): value for value in rule.allowed or ()}
    if set(listed) == {"false", "true"}:  # as databases without truths write them
        listed |= {"0": listed["false"], "1": listed["true"]}
    # As a CSV has whole numbers that stood beside a gap, and they are text beside a stray word.
    listed = {f"{text}.0": value for text, value in listed.items() if text.lstrip("-").isdecimal()} | listed
    column = filled(column)
    pairs = zip(column, column.isna(), strict=True)
    known = [None if null else listed.get(_label(value), value) for value, null in pairs]
    return pd.Series(known, index=column.index, name=column.name, dtype=object)


def _label(value: Any) -> str:
    """A label's text, and that of a truth however it is written."""
    text = spelled(value)
    return text.lower() if text.lower() in ("true", "false") else text


def _spell(bound: Any) -> str:
    return f"{bound:%Y-%m-%d %H:%M}" if isinstance(bound, datetime) else f"{bound:g}"
