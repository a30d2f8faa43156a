"""What one request may cost, and what all of them together may."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Limits of one request, and of all that are in flight.

    Parameters
    ----------
    rows
        Most rows of a request.
    body
        Most bytes of its body.
    seconds
        How long its body may take to arrive.
    waits
        Whether a response waits for the disk, so that it must not be made on the event loop.
    contended
        How long a body that others wait for may take to arrive.
    patience
        How long a body waits for room, before it is turned away.
    waiting
        How many bodies may wait for room.
    connections
        Most connections; one more ends the one that has waited longest for its client.
    head_bytes, head_fields
        Most bytes and fields of a request's head.
    head_seconds
        How long it may take to arrive.
    pipelined
        Most requests of one connection that wait for a response to the one before.
    unread
        Most bytes of responses that clients have not read.
    unread_seconds
        How long a client may take to read on.
    """

    rows: int = 10_000
    body: int = _MIB
    seconds: float = 30.0
    waits: bool = False
    contended: float = 2.0
    patience: float = 5.0
    waiting: int = 32
    connections: int = 512
    head_bytes: int = 32 * 1024
    head_fields: int = 100
    head_seconds: float = 10.0
    pipelined: int = 8
    unread: int = 8 * _MIB
    unread_seconds: float = 30.0

    @property
    def in_flight(self) -> int:
        """Most bytes of all bodies that are read or predicted."""
        return max(8 * _MIB, 2 * self.body)
