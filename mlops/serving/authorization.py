"""An endpoint for other machines: it answers whoever sends the token."""

from __future__ import annotations

import hashlib
import hmac

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["PREFIX", "Authorized"]

PREFIX = "/exposed"
"""Of the paths that the gateway gives requests of other machines.

A path, not a header: a client can have a proxy drop a header, by naming it in ``Connection``.
"""


class Authorized:
    """An endpoint before which a token is asked for.

    Parameters
    ----------
    digest
        The token's sha256, in hexadecimal; without one nobody is let in.
    """

    def __init__(self, endpoint: ASGIApp, digest: str) -> None:
        self._endpoint = endpoint
        self._digest = digest.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond, or refuse before the body is read."""
        scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        digest = hashlib.sha256(token.strip()).hexdigest().encode()
        # In constant time; and of digests, which tell nothing of a token that is nearly right.
        right = hmac.compare_digest(digest, self._digest)
        if not (right and scheme.lower() == b"bearer"):
            headers = {"www-authenticate": "Bearer", "connection": "close"}
            raise HTTPException(401, "Send the token: authorization: Bearer TOKEN.", headers=headers)
        await self._endpoint(scope, receive, send)
