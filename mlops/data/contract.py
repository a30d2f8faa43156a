"""What a batch must be: contract.yaml, inferred from a first table and edited by hand.

`mlops.data.validation` judges batches by it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from mlops import feature_types, moments
from mlops.config.durations import format_duration, parse_duration
from mlops.config.params import VERSION, check_version
from mlops.errors import ConfigError, shown
from mlops.feature_types import CATEGORY, DATE, TEXT, FeatureType
from mlops.feature_types.cells import code, spelled
from mlops.files import yaml
from mlops.files.yaml import yaml_line
from mlops.schema import Schema

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["ColumnRule", "Contract", "RowCount", "infer", "load"]

KEY, LABEL = "key", "label"
"""What a column that is no feature may be, beside the feature types."""


def _check_type(word: str) -> str:
    known = (*feature_types.REGISTER.names, KEY, LABEL)
    if word not in known:
        *others, last = (repr(name) for name in known)
        raise ValueError(f"{', '.join(others)} or {last}")
    return word


ColumnType = Annotated[str, AfterValidator(_check_type)]
Value = bool | int | float | str

_CLASSES = 50
"""More distinct values than this are not listed."""
# A list of categories is complete where each was seen often, in many rows a category.
_OFTEN = 5
_ROWS_A_CATEGORY = 50


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        return moments.from_text(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return moments.as_utc(value) if isinstance(value, datetime) else value


Bound = Annotated[float | datetime | None, BeforeValidator(_moment)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RowCount(_Part):
    """How many rows a batch has."""

    min: int = Field(default=1, ge=1)
    max: int | None = Field(default=None, ge=1)


class ColumnRule(_Part):
    """What one column holds."""

    type: ColumnType
    nulls: float | None = Field(default=None, ge=0.0, le=1.0)
    """The share of missing values a batch may have, any where not given; with 0 a row without one is bad."""
    min: Bound = None
    max: Bound = None
    sentinels: tuple[float, ...] | None = Field(default=None, min_length=1)
    """Numbers that stand for something else, as 999 for "unknown": min and max do not hold for them."""
    allowed: tuple[Value, ...] | None = Field(default=None, min_length=1)
    """Every other value makes its row bad."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> ColumnRule:
        feature = feature_types.find(self.type) if self.type in feature_types.REGISTER else None
        bound = feature.bound if feature is not None else None
        for end in (self.min, self.max):
            if end is not None and not isinstance(end, bound or type(None)):
                raise ValueError("min and max of the column's type: numbers for number, times for date")
        if self.sentinels and bound is not float:
            raise ValueError(f"no sentinels for a {self.type}")
        if self.allowed and feature is not None and not feature.is_text:
            raise ValueError(f"no list of values for a {self.type}")
        if self.allowed and self.type != LABEL and any(isinstance(value, bool) for value in self.allowed):
            raise ValueError("text: in quotes where YAML reads it as true or false")
        return self

    @property
    def categories(self) -> tuple[str, ...] | None:
        """The allowed values as the lake spells them: a code of 7 is the category "7"."""
        return None if self.allowed is None else tuple(map(spelled, self.allowed))


class Contract(_Part):
    """What a batch must be."""

    version: Annotated[int, AfterValidator(check_version)] = VERSION
    """Of the file's format."""
    policy: Literal["quarantine", "refuse"] = "quarantine"
    """quarantine: bad rows are kept apart and the rest goes on; refuse: one bad row refuses the batch."""
    max_bad: float = Field(default=0.2, ge=0.0, le=1.0)
    """A larger share of bad rows refuses the batch."""
    rows: RowCount = RowCount()
    freshness: Annotated[
        timedelta | None, BeforeValidator(lambda v: v if v is None else parse_duration(v))
    ] = None
    """How old the newest row of a batch may be, by data.time."""
    unique: tuple[str, ...] = ()
    """Columns whose value no two rows of a batch share."""
    columns: dict[str, ColumnRule] = Field(min_length=1)
    constant: dict[str, Value | None] = {}
    """Columns that no model sees because they held this value in every row; null where they held none."""

    def to_yaml(self) -> str:
        """Return the contract as a file that a person reads and edits."""
        lines = [
            "# What a batch must be. Check one with `mlops data check FILE` before you ingest it.",
            f"version: {self.version}",
            f"policy: {self.policy:<13} # quarantine: bad rows are kept apart; refuse: one refuses the batch",
            f"max_bad: {self.max_bad:<12g} # a larger share of bad rows refuses the whole batch",
            f"rows: {yaml_line(self.rows.model_dump(exclude_none=True)):<15} # of a batch; max too",
            f"freshness: {format_duration(self.freshness)}  # how old the newest row may be"
            if self.freshness
            else "# freshness: 40d      # how old the newest row may be, by data.time",
            f"unique: {yaml_line(list(self.unique)):<13} # within a batch",
            "",
            "# nulls: the share of missing values a batch may have; with 0, a row without a value is bad.",
            "# min, max, allowed: what lies outside makes its row bad. An inferred range is generous:",
            "# it reaches as far again as what was seen. sentinels: numbers far outside that repeat.",
            "columns:",
        ]
        return "\n".join([*lines, *self._column_lines(), *self._constant_lines()]) + "\n"

    def _constant_lines(self) -> Iterator[str]:
        if not self.constant:
            return
        yield ""
        yield "# Left out: each held one value in every row (null: none). `mlops ingest` says if one varies."
        yield "constant:"
        for name, value in self.constant.items():
            yield f"  {yaml_line(name)}: {yaml_line(value)}"

    def _column_lines(self) -> Iterator[str]:
        width = max(len(yaml_line(name)) for name in self.columns) + 1
        for name, rule in self.columns.items():
            plain = rule.model_dump(exclude_none=True)
            for end in ("min", "max"):
                if isinstance(plain.get(end), datetime):
                    plain[end] = plain[end].isoformat()
                elif plain.get(end, 0.5) == int(plain.get(end, 0.5)):
                    plain[end] = int(plain[end])
            if rule.allowed is not None:
                plain["allowed"] = list(rule.allowed)
            if rule.sentinels is not None:
                plain["sentinels"] = [int(far) if far == int(far) else far for far in rule.sentinels]
            yield f"  {yaml_line(name) + ':':<{width}} {yaml_line(plain)}"


def load(path: Path, schema: Schema) -> Contract:
    """Read and check a contract.

    Parameters
    ----------
    schema
        Of the project: what the contract says of its columns must agree with it.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, has an unknown key or a bad value, or calls a column
        otherwise than params.yaml does.
    """
    if not path.is_file():
        raise ConfigError("data.contract", value=str(path), allowed="a file, which this is not")
    try:
        contract = Contract.model_validate(yaml.read(path))
    except ValidationError as exc:
        raise _error(exc, path.name) from exc
    _agree(contract, schema, path.name)
    return contract


def infer(
    frame: pd.DataFrame,
    schema: Schema,
    *,
    repeated: Collection[str] = (),
    constant: Mapping[str, Value | None] | None = None,
) -> Contract:
    """Return a contract that the table keeps, with room for the next ones.

    Ranges reach as far again as what was seen on either side. Categories are listed only where
    every one was seen often, so that another is news; labels are listed where they are few.

    Parameters
    ----------
    frame
        The table, or of a large one the rows of a `mlops.tables.sampling.Sample`.
    repeated
        Columns that are known to have repeated values, also in rows outside the frame.
    constant
        Columns that were left out because they held one value at most, with that value.
    """
    columns = {name: _inferred(frame[name], type) for name, type in schema.types.items()}
    if schema.task_type.target_type:
        columns[schema.target] = ColumnRule(type=schema.task_type.target_type.name)
    else:
        classes = _in_order(frame[schema.target].dropna().unique())
        listed = tuple(classes) if 0 < len(classes) <= _CLASSES else None
        columns[schema.target] = ColumnRule(type=LABEL, allowed=listed)
    if schema.time:
        columns[schema.time] = ColumnRule(type=DATE.name, nulls=0)
    if schema.key:
        columns[schema.key] = ColumnRule(type=KEY, nulls=0)
    key = schema.key if schema.key and schema.key not in repeated else None
    is_unique = key is not None and frame[key].dropna().is_unique
    unique = (key,) if key and is_unique else ()
    return Contract(columns=columns, unique=unique, constant=dict(constant or {}))


def _inferred(column: pd.Series[Any], type: FeatureType) -> ColumnRule:
    column = column.mask(column.isin([""]))  # as the lake spells a missing category
    nulls = _room(float(column.isna().mean()))
    if type.bound is float:
        from mlops.stats.sentinels import sentinels, without

        numbers = _numbers(column)
        far = sentinels(numbers)
        low, high = _reach(without(numbers, far))
        return ColumnRule(type=type.name, nulls=nulls, min=low, max=high, sentinels=far or None)
    if type.is_text and type.has_vocabulary:
        return ColumnRule(type=type.name, nulls=nulls, allowed=_categories(column))
    return ColumnRule(type=type.name, nulls=nulls)


def _room(share: float) -> float:
    """Twice the missing values and a tenth more; few rows may chance to have many."""
    return min(1.0, math.ceil(100 * (max(0.1, 2 * share) + 0.1) - 1e-9) / 100)


def _numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    import numpy as np
    import pandas as pd

    return np.asarray(pd.to_numeric(column, errors="coerce").astype("float64"))


def _reach(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    import numpy as np

    numbers = values[np.isfinite(values)]
    if not len(numbers) or numbers.min() == numbers.max():
        return None, None
    low, high = float(numbers.min()), float(numbers.max())
    span = high - low
    least = 0.0 if low >= 0 else _outward(low - span, math.floor)
    return least, 0.0 if high <= 0 else _outward(high + span, math.ceil)


def _outward(value: float, rounded: Any) -> float:
    """Round away from what was seen, to two digits."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{rounded(value / unit) * unit:.12g}")


def _categories(column: pd.Series[Any]) -> tuple[Value, ...] | None:
    counts = column.value_counts()
    complete = (
        0 < len(counts) <= _CLASSES
        and counts.min() >= _OFTEN
        and counts.sum() >= _ROWS_A_CATEGORY * len(counts)
        and not any(isinstance(value, bool) for value in counts.index)
    )
    return tuple(map(spelled, _in_order(counts.index))) if complete else None


def _in_order(values: Iterable[Any]) -> list[Value]:
    """Values as YAML writes them, whole numbers as such, numbers before text."""
    return sorted(map(code, values), key=lambda value: (isinstance(value, str), value))


def _agree(contract: Contract, schema: Schema, file: str) -> None:
    """Refuse a contract that calls a column of the schema something else."""
    texts = (CATEGORY.name, TEXT.name)  # either may be read as the other
    wanted: dict[str, tuple[str, ...]] = {
        name: texts if type.name in texts else (type.name,) for name, type in schema.types.items()
    }
    target = schema.task_type.target_type
    wanted[schema.target] = (target.name if target else LABEL,)
    wanted |= {schema.time: (DATE.name,)} if schema.time else {}
    wanted |= {schema.key: (KEY, *texts)} if schema.key else {}
    for name, rule in contract.columns.items():
        if rule.type not in wanted.get(name, (rule.type,)):
            allowed = f"{' or '.join(wanted[name])}, as params.yaml says of it"
            raise ConfigError(f"columns.{name}.type", value=rule.type, allowed=allowed, file=file)
    unknown = [name for name in contract.unique if name not in {*contract.columns, *wanted}]
    if unknown:
        raise ConfigError(
            "unique", value=shown(unknown), allowed=shown(sorted({*contract.columns}), 9), file=file
        )
    if contract.freshness is not None and schema.time is None:
        raise ConfigError("freshness", value="a duration", allowed="none without data.time", file=file)


def _error(exc: ValidationError, file: str) -> ConfigError:
    first = exc.errors()[0]
    # Of a value that may be of several types, pydantic names the type it tried beside the path.
    path = ".".join(str(part) for part in first["loc"] if part not in ("float", "datetime")) or "the file"
    if first["type"] == "extra_forbidden":
        models: list[type[BaseModel]] = [Contract, RowCount, ColumnRule]
        model = models[min(len(first["loc"]) - 1, 2)]
        return ConfigError(path, value=path, allowed=", ".join(model.model_fields), file=file)
    if first["type"] == "missing":
        return ConfigError(path, value="nothing", allowed="a value, which it must have", file=file)
    allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return ConfigError(path, value=first["input"], allowed=allowed, file=file)
