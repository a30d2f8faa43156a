"""How one number is written: its sign, its unit, and the separators among its digits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

__all__ = [
    "CONVENTIONS", "SPACES", "THOUSANDS", "Spelling", "digits_pattern", "is_plain",
]  # fmt: skip

SPACES = "[ \t\u00a0\u2000-\u200a\u202f\u3000]"
THOUSANDS = {"": "", ",": ",", ".": r"\.", " ": SPACES, "'": "['\u2019]"}
"""What may separate thousands, and what stands for it in a table: a space of whatever width."""
CONVENTIONS = tuple(
    (thousands, decimal) for thousands in THOUSANDS for decimal in (".", ",") if thousands != decimal
)
"""What separates thousands, and what the decimals, wherever people write numbers."""
_UNIT = "[^\\d\\s\u00a0\u202f.,'\u2019()+\u2212-][^\\d()+\u2212,-]{0,14}?"
_WRITTEN = re.compile(
    rf"""(?P<opened>\()?{SPACES}*(?P<sign>[+\u2212-])?{SPACES}*(?P<before>{_UNIT})?{SPACES}*(?P<inner>[+\u2212-])?
    {SPACES}*(?P<digits>[.,]?\d(?:(?:\d|[.,'\u2019]|{SPACES}(?=\d))*\d)?\.?)(?P<exponent>[eE][+-]?\d+)?
    (?P<behind_it>[\u2212-])?{SPACES}*(?P<behind>{_UNIT})?{SPACES}*(?P<closed>\))?""",
    re.ASCII | re.VERBOSE,
)
_PLAIN = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


@dataclass(frozen=True)
class Spelling:
    """A number as it is written.

    Parameters
    ----------
    digits
        With their separators; a space of whatever width is " ", an apostrophe "'".
    unit
        What stands before or behind, empty where nothing does.
    negative
        How it is marked as below zero: ``-``, ``()`` or ``1-``; empty where it is not.
    leads
        Whether the unit stands before the digits.
    """

    digits: str
    unit: str = ""
    negative: str = ""
    exponent: str = ""
    leads: bool = False

    @classmethod
    def of(cls, text: str) -> Spelling | None:
        """Return how a text spells a number, None where it spells none."""
        match = _WRITTEN.fullmatch(text.strip())
        if match is None or bool(match["opened"]) != bool(match["closed"]):
            return None
        before, behind = ((match[part] or "").strip() for part in ("before", "behind"))
        signs = [sign for part in ("sign", "inner", "behind_it") if (sign := match[part])]
        if (before and behind) or len(signs) > 1 or (match["opened"] and signs):
            return None
        negative = "()" if match["opened"] else "1-" if match["behind_it"] else "-" if signs else ""
        digits = re.sub(SPACES, " ", match["digits"]).replace("\u2019", "'")
        negative = negative if signs != ["+"] else ""
        return cls(digits, before or behind, negative, match["exponent"] or "", bool(before))

    def fits(self, thousands: str, decimal: str) -> bool:
        """Return whether the digits can be written so."""
        if self.exponent and thousands and thousands in self.digits:
            return False
        return digits_pattern(thousands, decimal).fullmatch(self.digits) is not None

    def value(self, thousands: str, decimal: str) -> float:
        """Return the number, without its sign, where it is written so."""
        plain = self.digits.replace(thousands, "") if thousands else self.digits
        return float(plain.replace(decimal, ".") + self.exponent)


@cache
def digits_pattern(thousands: str, decimal: str) -> re.Pattern[str]:
    """Return what digits look like in a convention; groups are of three, or Indian ones.

    A number of several digits that begins with 0 is a code.
    """
    mark = THOUSANDS[thousands]
    grouped = rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|" if thousands else ""
    if thousands == ",":
        grouped += r"[1-9]\d?(?:,\d{2})+,\d{3}|"
    point = re.escape(decimal)
    return re.compile(rf"(?:{grouped}0|[1-9]\d*)(?:{point}\d*)?|0\d+{point}\d+|{point}\d+", re.ASCII)


def is_plain(text: str) -> bool:
    """Return whether a text is read as a number as it is."""
    return _PLAIN.fullmatch(text) is not None
