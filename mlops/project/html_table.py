"""Facts as a small HTML table, for a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["html_table"]


def html_table(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """Return a title above a table of two columns; every text is escaped."""
    left = 'style="text-align: left; vertical-align: top"'
    rows = "".join(
        f"<tr><th {left} nowrap>{escape(name)}</th><td {left}>{escape(value)}</td></tr>"
        for name, value in facts
    )
    return f"<table><caption {left}><b>{escape(title)}</b></caption>{rows}</table>"
