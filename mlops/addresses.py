"""Addresses as they may be shown: without the passwords, tokens and signatures in them.

`masked` is the one function that shows an address, alone or anywhere in a text: an error of ours passes
through it when it is made, and so do log lines, whatever a client library wrote into either.
"""

from __future__ import annotations

import logging
import re
import traceback
from contextlib import suppress
from urllib.parse import unquote

__all__ = ["MASK", "has_secret", "mask_logs", "masked", "names_secret", "split_login"]

MASK = "***"

# A login ends at the last @ of its word: a password may hold any sign, written as %40 or not. What
# looks like a port before a path is one, and an IPv6 address is no name.
_LOGIN = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*)://(?!\[)(?P<user>[^/?#@:\s]*)"
    r"(?:@|:(?!\d{1,5}(?:/|\s|$))(?P<password>\S*)@)",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{\w+\}")
_NAMES = (
    r"[\w.\-]*(?:token|secret|passw|passphrase|pwd|signature|credential|"
    r"api[_\-]?key|access[_\-]?key|account[_\-]?key|auth)[\w.\-]*|key|sig|sas|code|pass|odbc_connect"
)
_QUERY = re.compile(rf"(?P<before>[?&#;](?:{_NAMES})=)(?P<value>[^&#;\s'\"<>]+)", re.IGNORECASE)
# A connection string, as of libpq, ODBC and Azure, is no URL; the words are ones that nothing else has.
_STRING = re.compile(
    r"(?P<before>\b(?:password|passwd|pwd|sslpassword|AccountKey|SharedAccessKey|SharedAccessSignature)"
    r"\s*=\s*)(?P<value>'[^']*'|\"[^\"]*\"|\{[^}]*\}|[^&;\s'\"<>]+)",
    re.IGNORECASE,
)
# A user alone may be a token where HTTP is spoken, as that of a git server.
_TOKEN_SCHEMES = {"http", "https", "git+http", "git+https"}


def masked(text: object) -> str:
    """Return a text whose addresses show no password, token or signature.

    Examples
    --------
    >>> masked("postgresql://ada:pa/ss@host/db")
    'postgresql://ada:***@host/db'
    >>> masked("no response from https://host/rows.csv?part=1&sig=aGk%3D.")
    'no response from https://host/rows.csv?part=1&sig=***'
    """
    found = _LOGIN.sub(_without_password, str(text))
    for pattern in (_QUERY, _STRING):
        found = pattern.sub(_without_value, found)
    return found


def has_secret(address: str) -> bool:
    """Tell whether an address has a password, token or signature in it, rather than a variable's name."""
    return masked(address) != address


def names_secret(name: str) -> bool:
    """Tell whether a setting of this name is a password, token or key."""
    return re.fullmatch(_NAMES, name, re.IGNORECASE) is not None


def split_login(address: str) -> tuple[str, str]:
    """Return an address without the login in it, and the login, ``name:password``; empty if none."""
    match = _LOGIN.search(address)
    if match is None:
        return address, ""
    user, password = unquote(match["user"]), unquote(match["password"] or "")
    return f"{address[: match.start()]}{match['scheme']}://{address[match.end() :]}", f"{user}:{password}"


def mask_logs() -> None:
    """Mask what this process logs from now on, tracebacks too, whichever library logs it."""
    make = logging.getLogRecordFactory()
    if getattr(make, "masks", False):
        return

    def make_masked(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make(*args, **kwargs)
        with suppress(Exception):  # arguments that do not fit are for the handler to report
            message = record.getMessage()
            if (shown := masked(message)) != message:
                record.msg, record.args = shown, None
        if record.exc_info and record.exc_info[0] is not None and record.exc_text is None:
            record.exc_text = masked("".join(traceback.format_exception(*record.exc_info))).rstrip("\n")
        return record

    make_masked.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make_masked)


def _without_password(match: re.Match[str]) -> str:
    user, password = match["user"], match["password"]
    if password is None:
        shown = MASK if match["scheme"].lower() in _TOKEN_SCHEMES and not _VARIABLE.fullmatch(user) else user
        return f"{match['scheme']}://{shown}@"
    shown = password if _VARIABLE.fullmatch(password) else MASK
    return f"{match['scheme']}://{user}:{shown}@"


def _without_value(match: re.Match[str]) -> str:
    value = match["value"]
    return match["before"] + (value if _VARIABLE.fullmatch(value) else MASK)
