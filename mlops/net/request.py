"""Short HTTP requests, as health checks, without importing a client library."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from urllib.parse import urlsplit

from mlops.addresses import masked, split_login
from mlops.net.credentials import Access, basic

__all__ = ["REQUEST_ERRORS", "Reply", "describe", "get", "send"]

REQUEST_ERRORS = (OSError, ValueError, HTTPException)
"""What `send` raises: no connection, a response that is not HTTP, or an invalid address."""

_ANONYMOUS = Access()
_UNAUTHORIZED = {401, 403}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Reply:
    """The response to a request, or why there is none.

    Parameters
    ----------
    body
        Empty where the request failed.
    problem
        Why the request failed; empty where it succeeded.
    status
        The HTTP status; 0 without a response.
    """

    body: bytes
    problem: str = ""
    status: int = 0

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return not self.problem

    @property
    def unauthorized(self) -> bool:
        """Whether the server rejected the credentials, or got none and requires them."""
        return self.status in _UNAUTHORIZED


def get(address: str, *, timeout: float = 0.5, access: Access = _ANONYMOUS) -> Reply:
    """Send one GET request; failures are returned, not raised.

    Parameters
    ----------
    timeout
        Seconds.
    """
    try:
        status, body = send("GET", address, timeout=timeout, access=access)
    except REQUEST_ERRORS as exc:
        return Reply(b"", describe(exc, timeout))
    if status >= 400:
        sent = access.authorization or split_login(address)[1]
        credentials = ", rejected the credentials" if sent else ", credentials required"
        return Reply(b"", f"HTTP {status}{credentials if status in _UNAUTHORIZED else ''}", status)
    return Reply(body, status=status)


def send(
    method: str, address: str, body: bytes | None = None, *, timeout: float, access: Access = _ANONYMOUS
) -> tuple[int, bytes]:
    """Send a request and return the response's status and body, whatever the status.

    Parameters
    ----------
    body
        JSON.

    Raises
    ------
    REQUEST_ERRORS
        One of these; `describe` gives the reason.
    """
    address, login = split_login(address)  # which urllib would take for a part of the host's name
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method=method)
    # Not sent on to the target of a redirect. That of a variable wins over that of the address.
    if authorization := access.authorization or basic(login):
        request.add_unredirected_header("Authorization", authorization)
    opener = _opener(urlsplit(address).hostname in _LOOPBACK, access)
    try:
        with opener.open(request, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read()


def describe(exc: Exception, timeout: float) -> str:
    """Return why a request with this timeout in seconds failed."""
    reason = getattr(exc, "reason", exc)
    if isinstance(reason, TimeoutError):
        return f"no response within {timeout:g} s"
    return "connection refused" if isinstance(reason, ConnectionRefusedError) else masked(reason)


@lru_cache(maxsize=8)
def _opener(loopback: bool, access: Access) -> urllib.request.OpenerDirector:
    # The environment's proxy is for other machines, not for this one.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({} if loopback else None)]
    if access.ca_bundle or not access.verify:
        tls = ssl.create_default_context(cafile=access.ca_bundle or None)
        if not access.verify:
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        handlers.append(urllib.request.HTTPSHandler(context=tls))
    return urllib.request.build_opener(*handlers)
