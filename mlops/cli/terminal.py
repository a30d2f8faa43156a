"""The terminal of a command, whatever it can show: no character of ours ends a command."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

__all__ = ["show_any_character", "speak_utf8"]

_SPELLINGS = {
    "…": "...", "–": "-", "—": "-", "−": "-", "→": "->", "←": "<-", "·": "|", "×": "x", "≤": "<=", "≥": ">=",
    "±": "+-", "≠": "!=", "─": "-", "│": "|", "├": "|", "└": "`", "•": "*", "’": "'", "ß": "ss",
}  # fmt: skip
_ERRORS = "mlops.spelled"


def speak_utf8() -> None:
    """Begin anew in Python's UTF-8 mode, where the locale is of another encoding and files are named by it.

    A path, an argument and a vendor's file would be read in that encoding otherwise. What is shown stays in
    the terminal's.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8":
        return
    shown = sys.stdout.encoding if sys.stdout else "ascii"
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": shown}
    command = [os.fsencode(sys.executable), *map(_in_utf8, sys.orig_argv[1:])]
    os.execve(sys.executable, command, environment)


def _in_utf8(argument: str) -> bytes:
    """Return an argument as UTF-8: it is that already, or was typed in the locale's encoding."""
    typed = os.fsencode(argument)
    try:
        typed.decode("utf-8")
    except UnicodeDecodeError:
        return argument.encode("utf-8", "surrogateescape")
    return typed


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
