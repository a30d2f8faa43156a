"""How a date is written: the shape of its text, and the patterns that may read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops.column_formats.date_pattern import MONTHS, WEEKDAYS, ZONE

__all__ = ["DAY_FIRST", "MONTH_FIRST", "NO_ENGLISH_MONTH", "YEAR_FIRST", "DateShape", "shape_of"]

NO_ENGLISH_MONTH = "dates whose month has no English name"
DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day first", "month first", "year first"
_ORDINAL = "(?:st|nd|rd|th)?"
_MONTH = rf"(?:{MONTHS})\.?"
_WORD = r"[^\W\d_]{3,}\.?"
_SIGNS = r"[ \-./,]"
_SIGN = r"\. ?|[ \-/,:]"
_DATES = {
    "year": rf"0000(?P<s1>{_SIGN})00?(?P=s1)00?",
    "east": "0000(?:年|년 ?)00?(?:月|월 ?)00?[日일]",
    "last": rf"00?(?P<s2>{_SIGN})00?(?P=s2)0000",
    "short": rf"00?(?P<s3>{_SIGN})00?(?P=s3)00",
    "named": rf"00?{_ORDINAL}(?: of)?{_SIGNS}*{_MONTH}{_SIGNS}*0000",
    "named_short": rf"00?{_SIGNS}*{_MONTH}{_SIGNS}*00",
    "month_named": rf"{_MONTH}{_SIGNS}*00?{_ORDINAL}{_SIGNS}+0000",
    "year_named": rf"0000{_SIGNS}*{_MONTH}{_SIGNS}*00?",
    "foreign": rf"00?\.?{_SIGNS}*(?:de |of )?{_WORD}(?: de)?{_SIGNS}*0000",
    "stamp": "0{14}|0{12}|0{8}[t ]0{4}(?:00)?",
    "packed": "0{8}",
    "week": "0000-?W00(?:-?0)?",
    "ordinal": "0000-000",
    "month": rf"0000[\-/.]00?|00?[\-/]0000|{_MONTH}{_SIGNS}*0000|{_MONTH}[\-' ]+00",
    "quarter": r"0000[ \-]?q0|q0[ \-/]?0000",
    "yearless": rf"{_MONTH}{_SIGNS}+00?{_ORDINAL}|00?{_ORDINAL}{_SIGNS}+{_MONTH}",
}
_TIME = r"00?:00(?::00(?:[.,]0+)?)?(?:\s?[ap]\.?m\.?)?|00?\s?[ap]\.?m\.?"
_DOTTED = r"00?\.00\.00(?:[.,]0+)?"
_LETTERS = r"[a-z]{2,5}|[a-z]+/[a-z_]+(?:/[a-z_]+)?"
_ANY_ZONE = ZONE.replace("[0-9]", "0")
_TEXT = re.compile(
    rf"(?P<weekday>(?:{WEEKDAYS})\.?,?\s+)?"
    rf"(?:(?P<early>{_TIME})(?P<gap1>,?\s+(?:on )?))?"
    rf"(?P<date>{'|'.join(f'(?P<{name}>{form})' for name, form in _DATES.items())})"
    rf"(?:(?P<gap2>t|,?\s+(?:at )?|:|\s*-\s*)(?P<late>{_TIME}|{_DOTTED}))?"
    rf"(?P<gap3>\s?)(?:(?P<zone>{_ANY_ZONE})|(?P<letters>{_LETTERS}))?",
    re.IGNORECASE,
)
_ASCTIME = re.compile(
    rf"(?P<weekday>(?:{WEEKDAYS}),?\s+)?{_MONTH}\s+00?,?\s+(?P<time>{_TIME})(?P<gap>\s?)"
    rf"(?:(?P<zone>{_ANY_ZONE})|(?P<letters>{_LETTERS}))?\s+0000",
    re.IGNORECASE,
)
"""As C and Unix write it: the year after the time."""
_ALONE = re.compile(_TIME, re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class DateShape:
    """What a shape may be.

    Parameters
    ----------
    patterns
        By the order of day, month and year; one alone where the shape leaves no choice.
    is_certain
        Whether text of that shape is hardly anything but a date.
    unreadable
        Why it is no date that a pattern reads; empty where one does.
    """

    patterns: Mapping[str, str] = field(default_factory=dict)
    is_certain: bool = True
    unreadable: str = ""


def shape_of(text: str) -> DateShape | None:
    """Return what text is, of whose digits each is a 0; None where it is no date."""
    text = text.strip()
    if _ALONE.fullmatch(text):
        return DateShape(unreadable="times of day without a date")
    if match := _ASCTIME.fullmatch(text):
        if match["letters"]:
            return DateShape(unreadable=_zone(match["letters"]))
        return DateShape({YEAR_FIRST: _asctime(text, match)})
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    if match["letters"]:
        timed = match["early"] or match["late"]
        return DateShape(unreadable=_zone(match["letters"])) if timed else None
    kind = next(name for name in _DATES if match[name])
    if kind in _UNREADABLE:
        return DateShape(unreadable=_UNREADABLE[kind])
    if match["zone"] and not (match["early"] or match["late"] or kind == "stamp"):
        return None
    before, after = _weekday(match["weekday"]), ""
    if match["early"]:
        before += _clock(match["early"]) + _literal(match["gap1"])
    if match["late"]:
        after += _literal(match["gap2"]) + _clock(match["late"])
    if match["zone"]:
        after += match["gap3"] + "%z"
    patterns = {order: before + date + after for order, date in _date(kind, match["date"]).items()}
    return DateShape(patterns, is_certain=kind not in _UNCERTAIN)


_UNREADABLE = {
    "foreign": NO_ENGLISH_MONTH,
    "quarter": "quarters of a year",
    "yearless": "days without a year",
}
_UNCERTAIN = frozenset(("packed", "ordinal", "month"))
"""Shapes that codes have, too."""


def _zone(name: str) -> str:
    return f"times of the zone {name}, which is no offset"


def _date(kind: str, text: str) -> dict[str, str]:
    """Return the patterns of a date by the order of its parts."""
    signs = [_literal(sign) for sign in re.split(r"0+", text)]
    if kind in ("year", "east"):
        return {YEAR_FIRST: f"%Y{signs[1]}%m{signs[2]}%d{signs[3]}"}
    if kind == "last":
        return {DAY_FIRST: signs[1].join(("%d", "%m", "%Y")), MONTH_FIRST: signs[1].join(("%m", "%d", "%Y"))}
    if kind == "short":
        orders = {
            DAY_FIRST: ("%d", "%m", "%y"),
            MONTH_FIRST: ("%m", "%d", "%y"),
            YEAR_FIRST: ("%y", "%m", "%d"),
        }
        return {order: signs[1].join(parts) for order, parts in orders.items()}
    if kind in ("packed", "stamp"):
        clock = text.strip("0") or ""
        times = {8: "", 12: f"{clock}%H%M", 14: f"{clock}%H%M%S"}
        return {YEAR_FIRST: "%Y%m%d" + times[text.count("0")]}
    if kind == "ordinal":
        return {YEAR_FIRST: "%Y-%j"}
    if kind == "week":
        dashes = text.count("-")
        sign = "-" if dashes else ""
        return {YEAR_FIRST: f"%G{sign}W%V" + (f"{sign}%u" if len(text) > 7 + bool(dashes) else "")}
    return _named(kind, text)


def _named(kind: str, text: str) -> dict[str, str]:
    """Return the patterns of a date whose month has a name, or that has no day."""
    named = re.sub(_MONTH, lambda word: "%B" if len(word[0].rstrip(".")) > 4 else "%b", text, flags=re.I)
    named = re.sub(rf"(00?){_ORDINAL}(?= of|[^0]|$)", r"\1", named) if kind != "month" else named
    years = ["%Y", "%y"]
    if kind == "named_short":
        first, last = (re.sub("00?", part, named, count=1) for part in ("%d", "%y"))
        return {
            DAY_FIRST: re.sub("00", "%y", first, count=1),
            YEAR_FIRST: re.sub("00?", "%d", last, count=1),
        }
    order = YEAR_FIRST if kind in ("year_named", "month") else DAY_FIRST
    for digits, directive in (("0000", years[0]), ("00?", "%d" if kind != "month" else _rest(named))):
        named = re.sub(digits, directive, named, count=1)
    return {order: named}


def _rest(month: str) -> str:
    """Return what two digits beside a month are: its year, or where there is one the month."""
    return "%m" if "0000" in month or "%Y" in month else "%y"


def _asctime(text: str, match: re.Match[str]) -> str:
    zone = match["gap"] + "%z" if match["zone"] else ""
    comma = "," if "," in text[: match.start("time")].removeprefix(match["weekday"] or "") else ""
    name = re.search(_MONTH, text[len(match["weekday"] or "") :], re.I)
    month = "%B" if name and len(name[0].rstrip(".")) > 4 else "%b"
    return f"{_weekday(match['weekday'])}{month} %d{comma} {_clock(match['time'])}{zone} %Y"


def _weekday(text: str | None) -> str:
    return re.sub(rf"(?:{WEEKDAYS})\.?", "%a", text, count=1, flags=re.I) if text else ""


def _clock(text: str) -> str:
    """Return the pattern of a time of day; a fraction of a second is read without a directive."""
    hour = "%I" if re.search("[ap]", text, re.I) else "%H"
    sign = ":" if ":" in text else "."
    minutes = "".join(f"{sign}{part}" for part in ("%M", "%S")[: text.count(sign)])
    half = re.search(r"(\s?)[ap]", text, re.I)
    return hour + minutes + (f"{half[1] and ' '}%p" if half else "")


def _literal(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("%", "%%"))
