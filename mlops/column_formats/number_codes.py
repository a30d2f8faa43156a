"""Codes that could be read as numbers, as 12E4 or 00123: pure.

Where a column shows that it is one of numbers, by decimals or a sign, they are numbers. Else an exponent
behind several digits, which no program writes, or zeros before numbers of one length show a code.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlops.column_formats.column_text import ColumnText, Finding
from mlops.column_formats.number_spelling import is_plain
from mlops.column_formats.text_format import TextFormat

__all__ = ["find_codes"]

_NEARLY_ALL = 0.95
"""A column of fewer numbers is a category anyway."""
_CODES = 0.01
"""From this share of leading zeros on, a column is one of codes."""


def find_codes(file: Mapping[str, ColumnText]) -> list[Finding]:
    """Return which columns of a CSV hold codes that would be read as numbers, certain or not.

    Parameters
    ----------
    file
        The columns of text, by name, over all of the file's rows.
    """
    return [finding for column in file.values() if (finding := _find(column))]


def _find(column: ColumnText) -> Finding | None:
    if not (column.codes or column.exponents) or column.numbers < _NEARLY_ALL * column.rows:
        return None
    is_pointed = column.decimals or any("." in text and is_plain(text) for text in column.values)
    if column.signed or is_pointed:
        return None
    name, is_even = column.name, len(column.widths) == 1
    if column.exponents:
        example = next((text for text in column.exponents if _is_code(text)), next(iter(column.exponents)))
        is_certain = is_even or column.codes >= _CODES * column.rows or _is_code(example)
    else:
        example, is_certain = column.code, is_even or column.codes >= _CODES * column.rows
    example = example.strip()
    if is_certain:
        sentence = f"{name} holds codes, as {example}, and no numbers: it is a category."
        return Finding(name, None, sentence, example=example, is_code=True)
    if column.exponents:
        sentence = f"{name} looks like numbers, but {example} may be {float(example):.15g} or a code."
        remedy = f'Write data.formats: {{{name}: {{decimal: "."}} or {{strip: true}}}}: numbers or codes.'
        return Finding(name, None, sentence, remedy, example, is_open=True)
    rows = f"{column.codes:,} {'value' if column.codes == 1 else 'values'}"
    sentence = f"{name} is read as numbers, though {rows}, as {example}, would lose the zeros before them."
    remedy = f"For codes write data.formats: {{{name}: {{strip: true}}}}."
    return Finding(name, None, sentence, remedy, example, likely=TextFormat(strip=True))


def _is_code(text: str) -> bool:
    """Return whether a mantissa is one that nobody writes: 12E4; 47E3 is that of engineers."""
    mantissa, _, exponent = text.strip().lower().partition("e")
    return len(mantissa) > 1 and (mantissa.startswith("0") or int(exponent) % 3 != 0)
