"""Requests that mean harm: more than the limits allow, slower than anybody waits, and never to the end."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event

import psutil

__all__ = ["ATTACKS", "LIMIT", "ROW", "Memory", "attacking"]

ROW = {"size": 7, "colour": "red", "plum": "p1"}
MIB = 1024 * 1024
LIMIT = MIB
"""`deploy.max_body` by default."""


class Attacker:
    """One connection after another to the service under attack."""

    def __init__(self, port: int) -> None:
        self.port = port

    @contextmanager
    def _closed(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        try:
            yield
        finally:
            writer.close()

    async def send(self, *parts: bytes, pause: float = 0.0, hold: float = 0.0, read: bool = True) -> None:
        """Send parts with a pause after each, keep the connection, and read until the service ends it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with self._closed(writer):
            for part in parts:
                writer.write(part)
                await writer.drain()
                if pause:
                    await asyncio.sleep(pause)
            if hold:
                await asyncio.sleep(hold)
            if read:
                await asyncio.wait_for(reader.read(64 * 1024), 60)

    async def post(self, body: bytes, *, sent: int | None = None, hold: float = 0.0) -> None:
        """Post a body, or only its first bytes."""
        await self.send(head(len(body)), body if sent is None else body[:sent], hold=hold)


def head(length: int, path: str = "/predict") -> bytes:
    """Return the head of a request with a body of so many bytes."""
    return f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()


CHUNKED = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
Attack = Callable[[Attacker], Awaitable[None]]


def filled(unit: bytes, size: int, start: bytes = b"[", end: bytes = b"]") -> bytes:
    """Return a JSON list of as many units as fit into `size` bytes."""
    count = (size - len(start) - len(end) + 1) // (len(unit) + 1)
    return start + b",".join([unit] * count) + end


TINY = filled(b"{}", 16 * MIB)
"""16 MB of tiny objects, as the service once took them."""
FITTING = {
    "objects": filled(b"{}", LIMIT),
    "lists": filled(b"[]", LIMIT),
    "records": filled(b'{"":0}', LIMIT),
    "words": filled('"\u0100"'.encode(), LIMIT),
    "numbers": filled(b"1.1", LIMIT),
    "rows": filled(json.dumps(ROW).encode(), LIMIT),
    "nan": filled(b"[]", LIMIT, b"[NaN,"),
    "nested": b"[" * (LIMIT - 1),
    "digits": b"[" + b"9" * (LIMIT - 2) + b"]",
    "key": json.dumps({**ROW, "plum": "x" * (LIMIT - 100)}).encode(),
    "fields": b'{"size":1,"colour":"x",' + b",".join(b'"%x":1' % n for n in range(90_000)) + b"}",
}
THOUSAND = filled(json.dumps(ROW).encode(), 15_000)


async def _large(attacker: Attacker) -> None:
    await attacker.post(TINY)


async def _held(attacker: Attacker) -> None:
    await attacker.post(FITTING["rows"], sent=len(FITTING["rows"]) - 1, hold=20)


async def _held_large(attacker: Attacker) -> None:
    await attacker.post(TINY, sent=15_900_000, hold=20)


async def _slow_body(attacker: Attacker) -> None:
    await attacker.send(head(1000), *[b"{"] * 60, pause=0.5)


async def _slow_headers(attacker: Attacker) -> None:
    await attacker.send(b"POST /predict HTTP/1.1\r\n", *[b"x: y\r\n"] * 60, pause=0.5)


async def _silent(attacker: Attacker) -> None:
    await attacker.send(hold=20)


async def _endless_headers(attacker: Attacker) -> None:
    line = b"x-%d: " + b"y" * 1000 + b"\r\n"
    await attacker.send(b"GET /health HTTP/1.1\r\n", *(line % n for n in range(20_000)))


async def _endless_url(attacker: Attacker) -> None:
    await attacker.send(b"GET /", *[b"x" * 10_000] * 2_000)


async def _endless_chunks(attacker: Attacker) -> None:
    await attacker.send(CHUNKED, *[b"2710\r\n" + b" " * 10_000 + b"\r\n"] * 20_000)


async def _endless_after(attacker: Attacker) -> None:
    start = b"POST /nowhere HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    await attacker.send(start, *[b"2710\r\n" + b" " * 10_000 + b"\r\n"] * 20_000)


async def _pipelined(attacker: Attacker) -> None:
    await attacker.send(b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n" * 10_000, hold=20, read=False)


async def _unread(attacker: Attacker) -> None:
    posted = head(len(THOUSAND)) + THOUSAND
    await attacker.send(*[posted] * 50, hold=20, read=False)


def _fitting(name: str) -> Attack:
    async def post(attacker: Attacker) -> None:
        await attacker.post(FITTING[name])

    return post


ATTACKS: dict[str, tuple[int, Attack]] = {
    "large bodies of tiny objects": (4, _large),
    "bodies held one byte short": (100, _held),
    "large bodies held": (100, _held_large),
    "slow bodies": (300, _slow_body),
    "slow headers": (300, _slow_headers),
    "half-open connections": (1000, _silent),
    "headers without end": (20, _endless_headers),
    "an address without end": (20, _endless_url),
    "chunks without end": (20, _endless_chunks),
    "chunks after the answer": (20, _endless_after),
    "pipelined requests": (20, _pipelined),
    "answers nobody reads": (100, _unread),
    **{f"bodies of {name}": (4, _fitting(name)) for name in FITTING},
}
"""How many at once, and what each does, over and over."""


async def _attack(port: int, at_once: int, attack: Attack) -> None:
    attacker = Attacker(port)

    async def again() -> None:
        while True:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                await attack(attacker)
            await asyncio.sleep(0.02)

    await asyncio.gather(*(again() for _ in range(at_once)))


def _run(port: int, name: str, began: Event) -> None:
    began.set()
    os.nice(10)  # what is measured is the service's doing, not the attacker's hold on the processors
    asyncio.run(_attack(port, *ATTACKS[name]))


@contextmanager
def attacking(port: int, name: str) -> Iterator[None]:
    """Attack a service from another process."""
    context = multiprocessing.get_context("spawn")
    began = context.Event()
    attack = context.Process(target=_run, args=(port, name, began), daemon=True)
    attack.start()
    try:
        began.wait(60)
        yield
    finally:
        attack.kill()
        attack.join()


class Memory(threading.Thread):
    """Samples a process's memory until stopped."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__()
        self.process = process
        self.enough = threading.Event()
        self.peak = 0.0
        """MB."""

    def run(self) -> None:
        """Sample a hundred times a second."""
        while not self.enough.wait(0.01):
            with suppress(psutil.Error):
                self.peak = max(self.peak, self.process.memory_info().rss / 1e6)

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join()
