"""HTTP on one connection, within limits that uvicorn does not have: of heads, of time, of what nobody reads.

Uvicorn with httptools takes a head of any size over any time, any number of requests in one packet, and
keeps for ever a response that its client does not read.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, BaseTransport, Transport, get_running_loop
from collections.abc import Callable
from typing import Any, cast

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mlops.serving.limits import Limits

__all__ = ["BoundedProtocol", "Connections"]

_SWEEP_SECONDS = 1.0
_LINGER_SECONDS = 2.0
"""How long the rest of a body is thrown away after its response, which its client has yet to read."""
_LINGER_BYTES = 32 * 1024 * 1024
_UNNOTED_BYTES = 16 * 1024
"""What a client may leave unread without being noted."""


class Connections:
    """The connections of one service: which wait for their client, and since when.

    Parameters
    ----------
    refused
        Counts a request that was refused here, by its status.
    """

    def __init__(self, limits: Limits, refused: Callable[[int], None]) -> None:
        self.limits = limits
        self.refused = refused
        self.waiting: dict[BoundedProtocol, float] = {}
        """Oldest first."""
        self.unread: dict[BoundedProtocol, float] = {}
        """Those with a response that their client does not read on, oldest first."""
        self._loop: AbstractEventLoop | None = None

    def protocol(self, *args: Any, **kwargs: Any) -> BoundedProtocol:
        """Return the protocol of a new connection, as uvicorn asks for it."""
        return BoundedProtocol(self, *args, **kwargs)

    def watch(self) -> None:
        """Look every second for connections that have waited too long."""
        if self._loop is None:
            self._loop = get_running_loop()
            self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def make_way(self, open_connections: int) -> bool:
        """Return whether there is room for one more; the one that has waited longest may have to go."""
        if open_connections <= self.limits.connections:
            return True
        now = get_running_loop().time()
        oldest, since = next(iter(self.waiting.items()), (None, now))
        if oldest is None or now - since < _SWEEP_SECONDS:
            return False
        oldest.end()
        return True

    def check_unread(self) -> None:
        """End the connections whose client does not read, where they hold too much or for too long."""
        now = get_running_loop().time()
        held = sum(each.transport.get_write_buffer_size() for each in self.unread)
        for each, since in list(self.unread.items()):
            waited = now - since
            if waited > self.limits.unread_seconds or (held > self.limits.unread and waited > _SWEEP_SECONDS):
                held -= each.transport.get_write_buffer_size()
                each.end()

    def _sweep(self) -> None:
        loop = get_running_loop()
        for each, since in list(self.waiting.items()):
            each.check_time(loop.time() - since)
        self.check_unread()
        loop.call_later(_SWEEP_SECONDS, self._sweep)


class _LingeringTransport:
    """A transport whose end waits for a client that is still sending.

    Closed with a body half read, the client would be sent a reset, and might lose the response.
    """

    def __init__(self, transport: Transport, protocol: BoundedProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.write = transport.write
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        if not self._protocol.linger():
            self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._all = connections
        self._limits = connections.limits
        self._in_head = True
        self._head_bytes = self._head_fields = 0
        self._lingering: int | None = None
        """Bytes thrown away since the response; None while there is none."""
        self._refusal = (400, "This is not HTTP.")

    def connection_made(self, transport: BaseTransport) -> None:
        """Take a connection, or turn it away."""
        raw = cast("Transport", transport)
        raw.set_write_buffer_limits(high=_UNNOTED_BYTES)
        super().connection_made(cast("Transport", _LingeringTransport(raw, self)))
        self._all.watch()
        if self._all.make_way(len(self.connections)):
            self._wait()
        else:
            self._refuse(503, "The service has too many connections. Try again.")
            raw.close()  # at once: who comes while there is no room gets none to linger in

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._lingering = 0
        self.pipeline.clear()
        super().connection_lost(exc)
        self._all.waiting.pop(self, None)
        self._all.unread.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._lingering is not None:
            self._lingering += len(data)
            if self._lingering > _LINGER_BYTES:
                self.end()
            return
        if self.timeout_keep_alive_task is not None:  # it was idle, and begins a request
            self._unset_keepalive_if_required()
            self._in_head, self._head_bytes = True, 0
            self._wait()
        try:
            self.parser.feed_data(data)
            if self._in_head:
                self._count_head(len(data))
        except httptools.HttpParserUpgrade:
            pass  # an offer of another protocol, which a server may pass over
        except (httptools.HttpParserError, _RefusedError):
            self._refuse(*self._refusal)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head, self._head_bytes, self._head_fields = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request's address."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head, or one that follows a body in chunks."""
        self._head_fields += 1
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to respond, once the request before has its response."""
        self._in_head = False
        if len(self.pipeline) >= self._limits.pipelined:
            self._stop(429, "Too many requests at once on one connection.")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the client no longer: the whole request is here."""
        self._all.waiting.pop(self, None)
        super().on_message_complete()
        if self.cycle.response_complete:
            self.cycle.more_body = False

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if self.cycle.more_body and not self.pipeline:
            self.linger()
        self._wait()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Note that the client does not read on."""
        super().pause_writing()
        self._all.unread[self] = self.loop.time()
        self._all.check_unread()

    def resume_writing(self) -> None:
        """Note that the client does."""
        self._all.unread.pop(self, None)
        super().resume_writing()

    def linger(self) -> bool:
        """Throw away what a client that has its response still sends; return whether there is such a rest."""
        if self._lingering is not None:
            return True
        if self.cycle is None or not self.cycle.response_complete or not self.cycle.more_body:
            return False
        self._lingering = 0
        self._wait()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        return True

    def end(self) -> None:
        """End the connection, whatever it holds."""
        self._all.waiting.pop(self, None)
        self._all.unread.pop(self, None)
        self.transport.abort()

    def check_time(self, waited: float) -> None:
        """End the connection if its client let it wait too long."""
        if self._lingering is not None:
            if waited > _LINGER_SECONDS:
                self.end()
        elif self._in_head and self.timeout_keep_alive_task is None and waited > self._limits.head_seconds:
            message = f"The head of the request took longer than {self._limits.head_seconds:g} s to arrive."
            self._refuse(408, message)

    def _wait(self) -> None:
        self._all.waiting.pop(self, None)
        self._all.waiting[self] = self.loop.time()

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes or self._head_fields > self._limits.head_fields:
            self._stop(431, "The head of the request is too long.")

    def _stop(self, status: int, message: str) -> None:
        self._refusal = status, message
        raise _RefusedError

    def _refuse(self, status: int, message: str) -> None:
        """Respond with an error in the service's own form, and end the connection."""
        self._all.refused(status)
        content = orjson.dumps({"error": message, "field": None, "row": None})
        lines = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        # A request of this connection may have its response under way: nothing is put into that.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(STATUS_LINE[status] + lines % len(content) + content)
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.pipeline.clear()
        self._lingering = 0
        self._wait()
        if self.transport.can_write_eof():
            self.transport.write_eof()


class _RefusedError(Exception):
    """Ends the parser's work on what came."""
