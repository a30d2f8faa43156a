"""Short questions over HTTP, as whether a part is up: no client library is imported for them."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from urllib.parse import urlsplit

from mlops.net.credentials import Access

__all__ = ["NO_ANSWER", "Reply", "ask", "send", "why"]

NO_ANSWER = (OSError, ValueError, HTTPException)
"""What `send` raises where nobody answers, or not in HTTP, or where the address is none."""

_ANYBODY = Access()
_LOCKED = {401, 403}
_HERE = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Reply:
    """What came back.

    Parameters
    ----------
    body
        Empty where nothing came.
    trouble
        Why there is no good answer; empty where there is one.
    status
        The answer's; 0 where nobody answered.
    """

    body: bytes
    trouble: str = ""
    status: int = 0

    @property
    def good(self) -> bool:
        """Whether somebody answered, and with success."""
        return not self.trouble

    @property
    def locked(self) -> bool:
        """Whether the server wants a login that it was not given."""
        return self.status in _LOCKED


def ask(address: str, *, timeout: float = 0.5, access: Access = _ANYBODY) -> Reply:
    """Ask once; never raises for what is wrong over there.

    Parameters
    ----------
    timeout
        Seconds until silence counts as an answer.
    """
    try:
        status, body = send("GET", address, timeout=timeout, access=access)
    except NO_ANSWER as exc:
        return Reply(b"", why(exc, timeout))
    if status >= 400:
        login = ": it asks for a login" if status in _LOCKED else ""
        return Reply(b"", f"it answers {status}{login}", status)
    return Reply(body, status=status)


def send(
    method: str, address: str, body: bytes | None = None, *, timeout: float, access: Access = _ANYBODY
) -> tuple[int, bytes]:
    """Send a request, and return the status and body of the answer, whatever it is.

    Parameters
    ----------
    body
        JSON.

    Raises
    ------
    NO_ANSWER
        One of these; `why` puts it into words.
    """
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method=method)
    if access.login:  # to nobody whom the server may send us on to
        request.add_unredirected_header("Authorization", access.login)
    try:
        with _opener(urlsplit(address).hostname in _HERE, access).open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read()


def why(exc: Exception, timeout: float) -> str:
    """Say why nobody answered within `timeout` seconds."""
    reason = getattr(exc, "reason", exc)
    if isinstance(reason, TimeoutError):
        return f"no answer in {timeout:g} s"
    return "nobody listens" if isinstance(reason, ConnectionRefusedError) else str(reason)


@lru_cache(maxsize=8)
def _opener(here: bool, access: Access) -> urllib.request.OpenerDirector:
    # A proxy of the environment is for the world outside, not for this machine.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({} if here else None)]
    if access.authorities or not access.verified:
        trusted = ssl.create_default_context(cafile=access.authorities or None)
        if not access.verified:
            trusted.check_hostname, trusted.verify_mode = False, ssl.CERT_NONE
        handlers.append(urllib.request.HTTPSHandler(context=trusted))
    return urllib.request.build_opener(*handlers)
