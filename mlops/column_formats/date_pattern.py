"""A pattern that dates are written by, as `%d-%b-%Y %H:%M`, which reads a column at once in any locale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["MONTHS", "WEEKDAYS", "ZONE", "DatePattern", "moments_of"]

MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
WEEKDAYS = (
    "mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
)
ZONE = r"(?:utc|gmt)?[+-][0-9]{2}(?::?[0-9]{2})?(?: utc| \([a-z ]+\)|\[[a-z_/]+\])?|z|utc|gmt"
"""A zone that needs no guessing: an offset, or UTC by one of its names."""
_SPACE = r"[\s\x{00A0}\x{202F}]+"
_DIGITS = {"Y": "4", "y": "2", "m": "1,2", "d": "1,2", "H": "1,2", "I": "1,2", "M": "1,2", "S": "1,2"}
_DIGITS |= {"f": "1,9", "j": "3", "G": "4", "V": "1,2", "u": "1"}
_WIDTHS = {"f": "6"}
"""How many digits a number has where no sign parts it from the next; two of those not named here."""
_WORDS = {"p": r"[ap]\.?m\.?", "b": rf"(?:{MONTHS})\.?", "a": rf"(?:{WEEKDAYS})\.?", "z": ZONE}
_SAME = {"B": "b", "h": "b", "A": "a", "Z": "z"}
_PIVOT = 69
"""POSIX: two digits from 69 on are of the years 1969 to 1999, those before of 2000 to 2068."""
_TOKEN = re.compile(r"%(.)|(\s+)|([^%\s]+|%)", re.DOTALL)


@dataclass(frozen=True)
class DatePattern:
    """Directives of strptime's, and what stands between them.

    A month's name is English, short or long, in any case; ``%d`` may have no zero before it, or an ordinal's
    ending; ``%S`` may have a fraction; ``%z`` is an offset, Z, UTC or GMT. Where a pattern names no zone, its
    times are in UTC.

    Parameters
    ----------
    text
        The pattern.

    Raises
    ------
    ValueError
        It has an unknown directive, one of them twice, or does not say the month and the year.
    """

    text: str

    def __post_init__(self) -> None:
        names = self._directives
        if unknown := next((name for name in names if name not in _DIGITS and name not in _WORDS), None):
            raise ValueError(f"a date's pattern without %{unknown}, which is not known")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"a date's pattern with %{twice} once")
        years, has = {"Y", "y"} & set(names), set(names).__contains__
        calendar = len(years) == 1 and any(map(has, "mbj"))
        if not calendar and not (has("G") and has("V")):
            raise ValueError("a date's pattern that says the year and the month, as %Y-%m-%d or %d.%m.%y")

    def __str__(self) -> str:
        return self.text

    @property
    def has_short_year(self) -> bool:
        """Whether years have two digits, so that the century is a convention."""
        return "y" in self._directives

    def read(self, text: pa.Array) -> np.ndarray[Any, np.dtype[np.datetime64]]:
        """Return microseconds since 1970, UTC; NaT where the text is written otherwise, or is no day."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        fields = pc.extract_regex(text, pattern=self._regex)
        if isinstance(fields, pa.ChunkedArray):
            fields = fields.combine_chunks()
        part = {name: fields.field(name) for name in self._groups}
        good = np.asarray(fields.is_valid())
        number = {name: _numbers(part[name]) for name in part if name in _DIGITS and name != "f"}
        if "b" in part:
            number["m"] = _months(part["b"])
        if "I" in number:
            late = pc.starts_with(pc.utf8_lower(pc.fill_null(part["p"], "")), "p") if "p" in part else 0
            number["H"] = _of_twelve(number["I"], np.asarray(late))
        if "f" in part:
            six = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.fill_null(part["f"], ""), 6, "0"), 0, 6)
            number["f"] = _numbers(six)
        times = moments_of(number)
        times[~good] = np.datetime64("NaT")
        return times - _offsets(part["z"]).astype("timedelta64[us]") if "z" in part else times

    @cached_property
    def _directives(self) -> list[str]:
        found = [name for name, _, _ in _TOKEN.findall(self.text) if name and name != "%"]
        return [_SAME.get(name, name) for name in found]

    @cached_property
    def _groups(self) -> list[str]:
        fraction = ["f"] if "S" in self._directives and "f" not in self._directives else []
        return [name for name in (*self._directives, *fraction) if name != "a"]

    @cached_property
    def _regex(self) -> str:
        tokens = _TOKEN.findall(self.text)
        parts = []
        for place, (directive, space, literal) in enumerate(tokens):
            name = _SAME.get(directive, directive)
            if space:
                parts.append(_SPACE)
            elif not name or name == "%":
                parts.append(re.escape(literal or "%"))
            elif name in _WORDS:
                parts.append(f"(?:{_WORDS[name]})" if name == "a" else f"(?P<{name}>{_WORDS[name]})")
            else:
                beside = [tokens[at][0] for at in (place - 1, place + 1) if 0 <= at < len(tokens)]
                parts.append(self._number(name, packed=any(each in _DIGITS for each in beside)))
        return f"(?i)^\\s*{''.join(parts)}\\s*$"

    def _number(self, name: str, *, packed: bool) -> str:
        width = _DIGITS[name]
        if packed and "," in width:
            width = _WIDTHS.get(name, "2")
        ending = "(?:st|nd|rd|th)?" if name == "d" and not packed else ""
        if name == "S" and "f" in self._groups and "f" not in self._directives:
            ending = "(?:[.,](?P<f>[0-9]{1,9}))?"
        return f"(?P<{name}>[0-9]{{{width}}}){ending}"


def _numbers(text: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return whole numbers; 0 where there are none."""
    import numpy as np
    import pyarrow.compute as pc

    filled = pc.fill_null(text, "0")
    return np.asarray(pc.cast(pc.if_else(pc.equal(filled, ""), "0", filled), "int64")).copy()


def _months(text: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    short = pa.array(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
    begun = pc.utf8_slice_codeunits(pc.utf8_lower(text), 0, 3)
    return np.asarray(pc.fill_null(pc.index_in(begun, short), -1)).astype("int64") + 1


def moments_of(number: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    """Return the moments that whole numbers are the parts of; NaT where there is no such moment.

    Parameters
    ----------
    number
        By directive: Y or y, m, d, H, M, S and f, or j, or G, V and u. A day that is not there is the first.
    """
    import numpy as np

    rows = len(next(iter(number.values())))
    days, known = _days(number, rows)
    hour, minute, second = (number.get(part, 0) for part in "HMS")
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + number.get("f", 0)
    known = known & (hour >= 0) & (hour < 24) & (minute >= 0) & (minute < 60) & (second >= 0) & (second < 60)
    moments = days.astype("datetime64[us]").astype("int64") + micros
    times: np.ndarray[Any, np.dtype[np.datetime64]] = np.where(known, moments, np.iinfo("int64").min).view(
        "datetime64[us]"
    )
    return times


def _of_twelve(hour: Any, late: Any) -> Any:
    """Return the hours of a day that those of half a day are; -1 where there is none."""
    import numpy as np

    return np.where((hour >= 1) & (hour <= 12), hour % 12 + 12 * late, -1)


def _days(
    number: Mapping[str, Any], rows: int
) -> tuple[np.ndarray[Any, np.dtype[np.datetime64]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the days of a calendar's parts, and which of them there are."""
    import numpy as np

    one = np.ones(rows, dtype="int64")
    if "G" in number:  # the week with the year's fourth of January is its first
        year, week, weekday = number["G"], number["V"], number.get("u", one)
        fourth = _first_of(year, one) + 3
        monday = fourth - (fourth.astype("int64") + 3) % 7
        days = monday + (week - 1) * 7 + (weekday - 1)
        last = _first_of(year + 1, one) + 3
        weeks = (last - (last.astype("int64") + 3) % 7 - monday).astype("int64") // 7
        return days, (year >= 1) & (week >= 1) & (week <= weeks) & (weekday >= 1) & (weekday <= 7)
    year = number["Y"] if "Y" in number else number["y"] + np.where(number["y"] >= _PIVOT, 1900, 2000)
    if "j" in number:
        first, length = _first_of(year, one), 0
        length = (_first_of(year + 1, one) - first).astype("int64")
        return first + (number["j"] - 1), (year >= 1) & (number["j"] >= 1) & (number["j"] <= length)
    month = number["m"]
    day = number.get("d", one)
    real = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    first = _first_of(year, np.where(real, month, 1))
    length = (_first_of(year, np.where(real, month, 1) + 1) - first).astype("int64")
    return first + (day - 1), real & (day <= length)


def _first_of(year: Any, month: Any) -> Any:
    return ((year - 1970) * 12 + (month - 1)).astype("datetime64[M]").astype("datetime64[D]")


def _offsets(text: pa.Array) -> Any:
    """Return the microseconds that offsets are ahead of UTC."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    fields = pc.extract_regex(
        pc.fill_null(text, ""), pattern="(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?"
    )
    if isinstance(fields, pa.ChunkedArray):
        fields = fields.combine_chunks()
    minutes = _numbers(fields.field("hours")) * 60 + _numbers(fields.field("minutes"))
    behind = np.asarray(pc.fill_null(pc.equal(fields.field("sign"), "-"), False))
    return np.where(np.asarray(fields.is_valid()), np.where(behind, -minutes, minutes), 0) * 60_000_000
