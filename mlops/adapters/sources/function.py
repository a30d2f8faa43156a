"""A function of the project as a source of tables."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.config.source_params import FunctionParams
from mlops.data import cursor
from mlops.data.source import Fetched, SourceContext
from mlops.errors import DataError, MlopsError
from mlops.files import parquet, user_module

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["FunctionSource"]


@dataclass(frozen=True)
class FunctionSource:
    """What a function gives: a DataFrame, or some one after the other.

    Parameters
    ----------
    function
        ``FILE.py:NAME``, of the project. Where it takes ``since`` it is handed the greatest value
        of `column` that was taken, None at first, or where there is no `column`.
    column
        The cursor: only rows beyond the greatest value taken so far are given.
    """

    function: str
    root: Path
    column: str | None = None

    @classmethod
    def from_params(cls, params: FunctionParams, context: SourceContext) -> FunctionSource:
        """Return the source that a section describes."""
        return cls(params.function, context.root, params.cursor)

    def fetch(self, since: Any, folder: Path) -> Iterator[Fetched]:
        """Give the new rows as one table; none where there are none."""
        import pyarrow as pa

        call, position = user_module.load_name(self.function, self.root, key="data.source.function"), [since]
        named = {"since": cursor.value_of(since)} if "since" in inspect.signature(call).parameters else {}
        file = folder / f"{call.__name__}.parquet"
        try:
            rows = parquet.gather(self._pieces(call(**named), position), file)
        except MlopsError:
            raise
        except pa.ArrowException as exc:
            raise DataError(
                f"A column of {self.function} has values of several types: {exc}.",
                remedy="Give it one type.",
            ) from exc
        except Exception as exc:  # the project's own code: whatever it raises
            raise DataError(
                f"{self.function} failed: {type(exc).__name__}: {exc}.", remedy="Correct the function."
            ) from exc
        if rows:
            at = position[0] if self.column else None
            yield Fetched(file, file.name, at, again=self.column is None)

    def _pieces(
        self, returned: pd.DataFrame | Iterable[pd.DataFrame], position: list[Any]
    ) -> Iterator[pa.Table]:
        import pandas as pd
        import pyarrow as pa

        start = cursor.value_of(position[0])
        for frame in [returned] if isinstance(returned, pd.DataFrame) else returned:
            if not isinstance(frame, pd.DataFrame):
                raise DataError(
                    f"{self.function} returned a {type(frame).__name__}, not a DataFrame.",
                    remedy="Return a DataFrame, or yield some.",
                )
            new = frame
            if self.column is not None:
                if self.column not in frame:
                    raise DataError(
                        f"{self.function} returned no column {self.column}.",
                        remedy="Set data.source.cursor to another column.",
                    )
                new = frame if start is None else frame[frame[self.column] > start]
                position[0] = cursor.greatest(position[0], new[self.column].dropna(), self.column)
            yield pa.Table.from_pandas(new, preserve_index=False)
