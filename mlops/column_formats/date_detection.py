"""How a column of text writes dates: the patterns where they are certain, or why they are not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops.column_formats.date_pattern import DatePattern
from mlops.column_formats.date_shapes import (
    DAY_FIRST,
    MONTH_FIRST,
    NO_ENGLISH_MONTH,
    YEAR_FIRST,
    DateShape,
    shape_of,
)
from mlops.errors import shown

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["DateDoubt", "DatePatterns", "dates_in", "read_by"]

_MOST_SHAPES = 2000
"""Of weekdays and months with long names, and numbers of one digit or two, there are some hundreds."""
_AT_LEAST_HALF = 0.5
_PROBED = 200
_MOST_PATTERNS = 6
_FEW = 20
"""So many different codes of eight digits are hardly all days of two centuries by chance."""
_FEW_UNREAD = 0.05
_MORE_YEARS = 3
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_DOUBTFUL_YEARS = [*range(2030, 2069)]
"""What two digits from 30 to 68 are read as, and hardly were written for."""
_MONTH_WORDS = 24


@dataclass(frozen=True)
class DatePatterns:
    """The patterns that read every value of a column.

    Parameters
    ----------
    why
        What leaves no other reading, where there might be one.
    """

    patterns: tuple[str, ...]
    example: str
    why: str = ""


@dataclass(frozen=True)
class DateDoubt:
    """Why values that look like dates are not read.

    Parameters
    ----------
    what
        They are, for the rest of a sentence: ``dates without …, as 03/01/2013``.
    patterns
        One of which a person may name; empty where none would read them.
    is_odd
        Whether the example is a value that no pattern reads, beside others that one does.
    """

    what: str
    example: str
    patterns: tuple[str, ...] = ()
    is_odd: bool = False


@dataclass(frozen=True)
class _Shaped:
    """Values of one shape."""

    shape: DateShape
    values: pa.Array


def dates_in(distinct: pa.Array, *, is_named_date: bool = False) -> DatePatterns | DateDoubt | None:
    """Return how a column of text writes dates; None where it holds none.

    Parameters
    ----------
    distinct
        Its values, each once, of all its rows; none of them missing.
    is_named_date
        Whether the column's name says that it holds dates, for digits that may be a code.
    """
    shaped, odd = _shapes(distinct) if len(distinct) else ([], [])
    if not shaped or len(odd) >= _AT_LEAST_HALF * len(distinct):
        return None
    example = str(shaped[0].values[0])
    if any(each.shape.unreadable for each in shaped):
        return _unreadable(shaped)
    orders = _orders(shaped)
    if len(orders) > 1:
        return DateDoubt(
            "dates whose day, month and year nothing tells apart", example, _patterns(shaped, *orders)
        )
    patterns = _patterns(shaped, *(orders or shaped[0].shape.patterns))
    times, unread = read_by(patterns, distinct)
    if not orders:
        return _contradictory(shaped, distinct, unread)
    if len(patterns) > _MOST_PATTERNS:
        return DateDoubt(f"dates written in {len(patterns)} ways", example)
    if unread.any():
        return DateDoubt(f"dates as {example!r}", str(distinct.filter(unread)[0]), patterns, is_odd=True)
    if what := _doubtful(shaped, patterns, times, is_named_date=is_named_date):
        return DateDoubt(what, example, patterns)
    return DatePatterns(patterns, example, _evidence(shaped, orders[0]))


def read_by(
    patterns: Sequence[str], text: pa.Array
) -> tuple[np.ndarray[Any, np.dtype[np.datetime64]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the times that text is by the first pattern that reads it, and where none does."""
    import numpy as np
    import pyarrow as pa

    times = DatePattern(patterns[0]).read(text)
    for pattern in patterns[1:]:
        left = np.flatnonzero(np.isnat(times))
        if not len(left):
            break
        times[left] = DatePattern(pattern).read(text.take(pa.array(left)))
    return times, np.isnat(times) & np.asarray(text.is_valid())


def _shapes(distinct: pa.Array) -> tuple[list[_Shaped], list[str]]:
    """Return the values by their shape, and those that are no dates."""
    import numpy as np
    import pyarrow.compute as pc

    def encoded(text: pa.Array) -> Any:
        return pc.replace_substring_regex(text, "[0-9]", "0").dictionary_encode()

    probed = encoded(distinct[:: max(1, len(distinct) // _PROBED)])
    known = [shape_of(text) is not None for text in probed.dictionary.to_pylist()]
    if not known or np.mean([known[code] for code in probed.indices.to_pylist()]) < _AT_LEAST_HALF:
        return [], distinct.to_pylist()[:1] * len(distinct)
    shapes = encoded(distinct)
    if len(shapes.dictionary) > _MOST_SHAPES:
        return [], []
    groups: dict[DateShape | None, list[int]] = {}
    alike: dict[Any, DateShape] = {}
    for code, text in enumerate(shapes.dictionary.to_pylist()):
        shape = shape_of(text)
        if shape is not None:
            shape = alike.setdefault((tuple(shape.patterns.items()), shape.unreadable), shape)
        groups.setdefault(shape, []).append(code)
    codes = np.asarray(shapes.indices)
    values = {shape: distinct.filter(np.isin(codes, places)) for shape, places in groups.items()}
    odd = values.pop(None, distinct[:0]).to_pylist()
    return [_Shaped(shape, texts) for shape, texts in values.items() if shape is not None], odd


def _patterns(shaped: Sequence[_Shaped], *orders: str) -> tuple[str, ...]:
    """Return the patterns that the shapes have by these orders; a shape that leaves no choice has its one."""
    patterns: dict[str, str] = {}
    for order in orders:
        for each in shaped:
            for name, pattern in each.shape.patterns.items():
                if name == order or len(each.shape.patterns) == 1:
                    # Either directive reads short names and long ones.
                    alike = pattern.replace("%B", "%b")
                    patterns[alike] = max(pattern, patterns.get(alike, pattern), key=lambda it: "%B" in it)
    return tuple(patterns.values())


def _orders(shaped: Sequence[_Shaped]) -> list[str]:
    """Return the orders of day, month and year by which all values can be read."""
    import numpy as np

    unsure = [each for each in shaped if len(each.shape.patterns) > 1]
    if not unsure:
        return [next(iter(shaped[0].shape.patterns))]
    years: dict[str, int] = {}
    for order in unsure[0].shape.patterns:
        patterns = [each.shape.patterns.get(order, "") for each in unsure]
        if all(patterns):
            read = [read_by([pattern], each.values) for pattern, each in zip(patterns, unsure, strict=True)]
            if not any(unread.any() for _, unread in read):
                years[order] = sum(len(np.unique(times.astype("datetime64[Y]"))) for times, _ in read)
    # Two digits that differ far more than those of another order's year are days.
    return [order for order, count in years.items() if count <= _MORE_YEARS * min(years.values())]


def _doubtful(shaped: Sequence[_Shaped], patterns: Sequence[str], times: Any, *, is_named_date: bool) -> str:
    """Return what the values are if it is not certain that they are these dates; empty where it is."""
    import numpy as np

    years = times.astype("datetime64[Y]").astype("int64") + 1970
    if any(not each.shape.is_certain for each in shaped):
        packed = all(pattern == "%Y%m%d" for pattern in patterns)
        enough = len(times) >= _FEW or is_named_date
        if not (packed and enough and years.min() >= _FIRST_YEAR and years.max() < _LAST_YEAR):
            return "codes that may be dates" if packed else "months or days of a year"
    short = any(DatePattern(pattern).has_short_year for pattern in patterns)
    if short and np.isin(years, _DOUBTFUL_YEARS).any():
        return "dates with two digits for the year, some of them of a century that nothing tells"
    return ""


def _unreadable(shaped: Sequence[_Shaped]) -> DateDoubt | None:
    """Return why values of some shapes are not read; None where they are rather words and numbers."""
    strange = next(each for each in shaped if each.shape.unreadable)
    if strange.shape.unreadable == NO_ENGLISH_MONTH:
        values = [value for each in shaped for value in each.values.to_pylist()]
        words = {word for value in values for word in re.findall(r"[^\W\d_]+", value.lower())}
        if len(words) > _MONTH_WORDS:
            return None
    return DateDoubt(strange.shape.unreadable, str(strange.values[0]))


def _contradictory(shaped: Sequence[_Shaped], distinct: pa.Array, unread: Any) -> DateDoubt | None:
    """Return that no one order of day and month reads all values; None where many are no dates by any."""
    example = str(shaped[0].values[0])
    if unread.any():
        if unread.mean() > _FEW_UNREAD:
            return None
        ways = [_patterns(shaped, order) for order in (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)]
        near = [way for way in ways if way and read_by(way, distinct)[1].mean() <= _FEW_UNREAD]
        patterns = near[0] if len(near) == 1 else ()
        return DateDoubt(f"dates as {example!r}", str(distinct.filter(unread)[0]), patterns, is_odd=True)
    examples = []
    for order in (DAY_FIRST, MONTH_FIRST, YEAR_FIRST):
        _, other = read_by(_patterns(shaped, order) or ["%Y-%m-%d"], distinct)
        examples += [str(value) for value in distinct.filter(other)[:1]]
    both = shown(list(dict.fromkeys(examples)))
    return DateDoubt(f"dates of which no one order of day and month reads all, as {both}", example)


def _evidence(shaped: Sequence[_Shaped], order: str) -> str:
    """Return what leaves no other order of day and month; empty where the shapes leave none."""
    for each in shaped:
        for other, pattern in each.shape.patterns.items():
            if other != order:
                _, unread = read_by([pattern], each.values)
                if unread.any():
                    return f"{order}, as {each.values.filter(unread)[0]} shows"
    return ""
