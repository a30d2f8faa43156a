"""The terminal of a command, whatever it can show: no character of ours ends a command."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

__all__ = ["show_any_character"]

_SPELLINGS = {
    "…": "...", "–": "-", "—": "-", "−": "-", "→": "->", "←": "<-", "·": "|", "×": "x", "≤": "<=", "≥": ">=",
    "±": "+-", "≠": "!=", "─": "-", "│": "|", "├": "|", "└": "`", "•": "*", "’": "'",
}  # fmt: skip
_ERRORS = "mlops.spelled"


def show_any_character() -> None:
    """Spell what stdout and stderr cannot encode, as in a locale that is not UTF-8, otherwise."""
    codecs.register_error(_ERRORS, _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else somebody collects the output
            stream.reconfigure(errors=_ERRORS)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_spell, error.object[error.start : error.end])), error.end


def _spell(character: str) -> str:
    base = unicodedata.normalize("NFKD", character)[0]
    return _SPELLINGS.get(character) or (base if base.isascii() else "?")
