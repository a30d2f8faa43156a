"""How text spells values that are no words, as in a CSV."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BOOLEANS", "NONE", "as_booleans", "beside_text", "code_of", "no_words", "numbers_or_text"]

BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
NONE = "None"
"""What Python writes for a missing value, and people for a value of their own."""
_WHOLE = re.compile(r"\s*([+-]?\d+)(?:\.0)?\s*", re.ASCII)
"""A whole number as text; of one that stood beside a gap, pandas writes 7.0."""


def no_words(text: pd.Series[Any]) -> pd.Series[Any]:
    """Text that stands for no words: nothing but spaces is missing there, and so is `NONE`."""
    return text.mask(text.str.strip().isin(["", NONE]))


def code_of(text: str) -> str:
    """Spell a cell that names something by itself, whatever the other rows hold: zeros before it stay."""
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def numbers_or_text(text: pd.Series[Any]) -> pd.Series[Any]:
    """Read numbers; what is none stays text, to be refused by its row."""
    import pandas as pd

    read = pd.to_numeric(text, errors="coerce")
    return beside_text(read, text)


def beside_text(read: pd.Series[Any], text: pd.Series[Any]) -> pd.Series[Any]:
    """Return what was read, and the text where nothing could be."""
    return read if read.notna().equals(text.notna()) else read.astype(object).where(read.notna(), text)


def as_booleans(values: pd.Series[Any]) -> pd.Series[Any]:
    """Objects, 0 and 1 among them as the booleans they stand for."""
    return values.where(~values.isin([0, 1]), values == 1)
