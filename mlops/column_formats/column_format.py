"""How the values of a column are written: what a format is, whatever it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    import pandas as pd

    from mlops.column_formats.column_text import ColumnText, Finding
    from mlops.feature_types import FeatureType

__all__ = ["ColumnFormat"]


@dataclass(frozen=True)
class ColumnFormat:
    """How a column's values are written as text, where no feature type reads them by itself.

    A format belongs to the column, never to a cell. A format of your own is a frozen dataclass with a
    `name`; its fields are the keys of `data.formats`, each with a default.
    """

    name: ClassVar[str]
    """The word for the kind of format."""
    is_text: ClassVar[bool] = False
    """Whether what it gives is text still, for the feature type to read."""

    @property
    def reads_numbers(self) -> bool:
        """Whether numbers are read, too, and not text alone."""
        return False

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns of a table that this one is made from; none where the table has it itself."""
        return ()

    def compose(self, frame: pd.DataFrame) -> pd.Series[Any]:
        """Return the column that a table's `sources` make together; what makes no value is text."""
        raise NotImplementedError

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the values that a column of text holds; what it cannot read stays text.

        Parameters
        ----------
        column
            Text, or missing.
        """
        raise NotImplementedError

    def read_value(self, value: str) -> str:
        """Return one value of a request, where the format gives text."""
        return value

    def suits(self, type: FeatureType | None) -> bool:
        """Return whether a column of this type can be written so; None is the target's or a key's."""
        return type is None or type.is_text == self.is_text

    @classmethod
    def detect(cls, column: ColumnText, file: Mapping[str, ColumnText]) -> Finding | None:
        """Return how a column is written, None where nothing says that it is written so.

        Parameters
        ----------
        column
            The text of one column.
        file
            The columns of its file, by name: how they are written is evidence, too.
        """
        del column, file
        return None

    @classmethod
    def detect_numbers(cls, name: str, numbers: pd.Series[Any]) -> Finding | None:
        """Return how a column of numbers is written, None where nothing says that it is written so.

        Parameters
        ----------
        numbers
            Values from all of the column, its least and its greatest among them; none missing.
        """
        del name, numbers
        return None

    @classmethod
    def of_params(cls, value: Any) -> Self | None:
        """Return the format that a value of `data.formats` means; None where it is none of this kind.

        Raises
        ------
        ValueError
            It is of this kind, and not valid; the error says what is allowed.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping) or not value or not names.issuperset(value):
            return None
        return cls(**value)

    def to_params(self) -> Any:
        """Return the format as `data.formats` and schema.json spell it; `of_params` reads it back."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}
