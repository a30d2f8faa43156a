"""Room for the bodies of all requests in flight: where it is full, one waits, and a slow one makes way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

__all__ = ["BodyBudget", "NoRoomError"]


class NoRoomError(Exception):
    """The bodies in flight leave no room for another."""


class BodyBudget:
    """A bound on the bytes of all bodies together; for one event loop.

    A body's bytes are reserved before it is read, so that two that are half read never wait for each other,
    and granted in the order of arrival.

    Parameters
    ----------
    total
        Bytes, at least those of one body.
    waiting
        How many bodies may wait.
    patience
        How many seconds each may.
    contended
        Seconds in which a body must have arrived while another waits.
    """

    def __init__(self, total: int, *, waiting: int, patience: float, contended: float) -> None:
        self.free = total
        self._waiting = waiting
        self._patience = patience
        self._contended = contended
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._arriving: dict[asyncio.Timeout, float] = {}

    @asynccontextmanager
    async def reserved(self, size: int) -> AsyncIterator[None]:
        """Reserve room for a body.

        Raises
        ------
        NoRoomError
            Too many bodies wait already, or this one has waited too long.
        """
        await self._take(size)
        try:
            yield
        finally:
            self.free += size
            self._grant()

    @asynccontextmanager
    async def arriving(self, seconds: float) -> AsyncIterator[None]:
        """Let a body arrive within some seconds, or within fewer while another waits for room.

        Raises
        ------
        TimeoutError
            It did not.
        """
        async with asyncio.timeout(seconds) as timeout:
            self._arriving[timeout] = asyncio.get_running_loop().time()
            try:
                if self._queue:
                    self._hurry(timeout)
                yield
            finally:
                del self._arriving[timeout]

    async def _take(self, size: int) -> None:
        if not self._queue and size <= self.free:
            self.free -= size
            return
        if len(self._queue) >= self._waiting:
            raise NoRoomError
        granted = asyncio.get_running_loop().create_future()
        self._queue.append((size, granted))
        for timeout in self._arriving:
            self._hurry(timeout)
        try:
            async with asyncio.timeout(self._patience):
                await granted
        except BaseException as exc:
            if granted.done() and not granted.cancelled():
                self.free += size  # granted in the moment that it was given up
            else:
                with suppress(ValueError):  # passed over already
                    self._queue.remove((size, granted))
            self._grant()
            if isinstance(exc, TimeoutError):
                raise NoRoomError from None
            raise

    def _grant(self) -> None:
        while self._queue and self._queue[0][0] <= self.free:
            size, granted = self._queue.popleft()
            if not granted.done():
                self.free -= size
                granted.set_result(None)

    def _hurry(self, timeout: asyncio.Timeout) -> None:
        when = timeout.when()
        latest = self._arriving[timeout] + self._contended
        if when is not None and not timeout.expired() and latest < when:
            timeout.reschedule(latest)
