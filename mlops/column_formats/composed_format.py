"""A moment whose parts stand in several columns: year, month, day, hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mlops.column_formats.date_pattern import DatePattern, moments_of
from mlops.column_formats.moment_format import MomentFormat
from mlops.feature_types.cells import spelled

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["ComposedFormat"]

_PARTS = ("Y", "m", "d", "H", "M", "S")
_FEWEST = 2


@dataclass(frozen=True)
class ComposedFormat(MomentFormat):
    """A column of moments that a table has as several columns; UTC.

    Parameters
    ----------
    columns
        Those with the parts, as year, month, day, hour, minute and second; the last may be left out.
    pattern
        By which the parts are read with a space between them, where they are not those six in order:
        ``%Y-%m-%d %H:%M`` of a date and a time of day.
    """

    name: ClassVar[str] = "columns"

    columns: tuple[str, ...] = ()
    pattern: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        most = len(_PARTS) if not self.pattern else len(self.columns)
        if not _FEWEST <= len(self.columns) <= most or len(set(self.columns)) < len(self.columns):
            raise ValueError(
                "columns: year and month, and day, hour, minute, second as far as there are such"
            )
        DatePattern(self._pattern)

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it is made from."""
        return self.columns

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return a column as it is: one that a table has in one piece is written plainly."""
        return column

    def compose(self, frame: pd.DataFrame) -> pd.Series[Any]:
        """Return times in UTC; text where the parts are none, missing where none of them is there."""
        import numpy as np
        import pandas as pd

        times = self._counted(frame) if not self.pattern else None
        if times is None:
            times = self._written(frame)
        composed: pd.Series[Any] = pd.Series(times, index=frame.index).dt.tz_localize("UTC")
        wrong = np.isnat(times) & frame[list(self.columns)].notna().any(axis=1).to_numpy()
        if not wrong.any():
            return composed
        mixed: pd.Series[Any] = composed.astype(object)
        mixed[wrong] = self._texts(frame[wrong])
        return mixed

    def _counted(self, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.datetime64]] | None:
        """Return the moments of parts that are whole numbers; None where one is none."""
        import numpy as np
        import pandas as pd

        numbers = {}
        for part, name in zip(_PARTS, self.columns, strict=False):
            values = pd.to_numeric(frame[name], errors="coerce").to_numpy("float64", na_value=np.nan)
            if not (np.isnan(values) == frame[name].isna().to_numpy()).all() or (values % 1 > 0).any():
                return None
            numbers[part] = np.where(np.isnan(values), -1, values).astype("int64")
        return moments_of(numbers)

    def _written(self, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.datetime64]]:
        import pyarrow as pa

        return DatePattern(self._pattern).read(pa.array(self._texts(frame), pa.string()))

    def _texts(self, frame: pd.DataFrame) -> list[str]:
        parts = ([_text(value) for value in frame[name]] for name in self.columns)
        return [" ".join(cells) for cells in zip(*parts, strict=True)]

    @property
    def _pattern(self) -> str:
        return self.pattern or " ".join(f"%{part}" for part in _PARTS[: len(self.columns)])

    def to_params(self) -> Any:
        """Return the columns, and the pattern if there is one."""
        return {"columns": list(self.columns), **({"pattern": self.pattern} if self.pattern else {})}

    @classmethod
    def of_params(cls, value: Any) -> Self | None:
        """Return the format that a mapping with columns means."""
        if isinstance(value, dict) and not isinstance(value.get("columns", []), list | tuple):
            raise ValueError("columns: a list, as [year, month, day]")
        return super().of_params(value)


def _text(value: Any) -> str:
    return "" if value is None or value != value else spelled(value)
