"""Text as people write it: padded, and in one case or another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mlops.column_formats.column_format import ColumnFormat
from mlops.column_formats.column_text import ColumnText, Finding
from mlops.errors import shown

if TYPE_CHECKING:
    import pandas as pd

    from mlops.feature_types import FeatureType

__all__ = ["TextFormat"]

_CASES = ("", "lower", "upper")
_SOME = 0.5
"""A column of more numbers than that is none of names."""
_NEARLY_ALL = 0.95
_MANY, _WORDS = 50, 4.0
"""More values than that, of so many words each, are no names: there spaces and case tell nothing apart."""
_LISTED = 1000
"""More values than that are not compared for case."""


@dataclass(frozen=True)
class TextFormat(ColumnFormat):
    """What of a column's text tells no values apart.

    Parameters
    ----------
    strip
        Whether spaces before and behind a value are none of it.
    case
        In which case every value is read: ``lower``, ``upper``, or as it is.
    """

    name: ClassVar[str] = "text"
    is_text: ClassVar[bool] = True

    strip: bool = False
    case: str = ""

    def __post_init__(self) -> None:
        if type(self.strip) is not bool:
            raise ValueError("strip: true or false")
        if self.case not in _CASES:
            raise ValueError("case: lower or upper")

    def read(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the text, stripped and in one case."""
        return column.map({text: self.read_value(text) for text in column.dropna().unique()})

    def read_value(self, value: str) -> str:
        """Return one text, stripped and in one case."""
        text = value.strip() if self.strip else value
        return getattr(text, self.case)() if self.case else text

    def suits(self, type: FeatureType | None) -> bool:
        """Return whether a column may be written so: spaces stand around anything, case is of words."""
        return type is None or type.is_text or not self.case

    @classmethod
    def detect(cls, column: ColumnText, file: Mapping[str, ColumnText]) -> Finding | None:
        """Return that a column is padded, where no two of its values differ in that alone.

        Where some do, or in case alone, a person is asked whether they are one: no value says so.
        """
        del file
        words = {text: rows for text, rows in column.values.items() if text.strip()}
        if not words or column.numbers > _SOME * column.rows or _is_prose(words):
            return None
        padded = [text for text in words if text != text.strip()]
        if padded and (alike := _alike(words, str.strip)):
            way = "{strip: true}"
            if _alike(words, lambda text: text.strip().casefold(), beyond=str.strip):
                way = "{strip: true, case: lower}"
            return _asked(column.name, alike, words, "spaces", way)
        alike = _alike(words, lambda text: text.strip().casefold()) if len(words) <= _LISTED else []
        if not padded or not (column.is_whole or len(padded) >= _NEARLY_ALL * len(words)):
            return _asked(column.name, alike, words, "case", "{case: lower}") if alike else None
        asked = _asked(column.name, alike, words, "case", "{strip: true, case: lower}") if alike else None
        sentence = f"{column.name} has spaces around its values, as {padded[0]!r}, and is read without."
        return Finding(
            column.name,
            cls(strip=True),
            f"{sentence} {asked.sentence}" if asked else sentence,
            asked.remedy if asked else "",
            padded[0],
        )


def _is_prose(words: Mapping[str, int]) -> bool:
    return len(words) > _MANY and sum(len(text.split()) for text in words) >= _WORDS * len(words)


def _alike(
    words: Mapping[str, int], key: Callable[[str], str], *, beyond: Callable[[str], str] | None = None
) -> list[str]:
    """Return values of the most rows that a key makes one; with `beyond`, where that leaves several."""
    groups: dict[str, list[str]] = {}
    for text in words:
        groups.setdefault(key(text), []).append(text)
    several = [
        each for each in groups.values() if len(each if beyond is None else set(map(beyond, each))) > 1
    ]
    if not several:
        return []
    most = max(several, key=lambda each: sum(words[text] for text in each))
    return sorted(most, key=words.__getitem__, reverse=True)


def _asked(name: str, alike: list[str], words: Mapping[str, int], what: str, way: str) -> Finding:
    counted = shown([f"{text!r} ({words[text]:,})" for text in alike])
    return Finding(
        name,
        None,
        f"{name} holds {counted}, which differ in {what} alone: they stay apart.",
        f"To have them as one, write data.formats: {{{name}: {way}}}.",
        alike[0],
    )
