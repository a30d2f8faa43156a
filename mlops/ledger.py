"""The ledger: every decision of the loop, append-only, each row with its cause.

One table. A row is never changed: what happens next to a thing is another row that names
the first as its cause. A row's `once` is unique where it is given, which is how two
processes that want to do the same thing find out that only one of them may.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    select,
)
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from mlops.errors import ConflictError, UnavailableError

__all__ = ["Entry", "Ledger"]

_metadata = MetaData()
_entries = Table(
    "entries",
    _metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", String(64), nullable=False, index=True),
    Column("recorded_at", String(32), nullable=False),
    Column("as_of", String(32), index=True),
    Column("cause", String(32), ForeignKey("entries.id"), index=True),
    Column("once", String(200), unique=True),
    Column("body", Text, nullable=False),
)

_FORBID = """
CREATE TRIGGER IF NOT EXISTS entries_no_{verb} BEFORE {verb} ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END
"""


@dataclass(frozen=True)
class Entry:
    """One row: what was decided or done, when, and because of what.

    `recorded_at` is the wall clock (UTC); `as_of` is the event time the decision was made
    for, where there is one.
    """

    id: str
    kind: str
    recorded_at: datetime
    as_of: datetime | None = None
    cause: str | None = None
    once: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """The append-only table of decisions, in SQLite or any database SQLAlchemy reaches.

    Parameters
    ----------
    uri
        A SQLAlchemy address, as ``sqlite:////home/me/project/.mlops/ledger.db``.
    clock
        Gives the recorded time, UTC.

    Raises
    ------
    UnavailableError
        The database cannot be opened.
    """

    def __init__(self, uri: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._engine = _open(uri)

    def record(
        self,
        kind: str,
        *,
        cause: Entry | str | None = None,
        as_of: datetime | None = None,
        once: str | None = None,
        **body: Any,
    ) -> Entry:
        """Append a row and return it once it is durable.

        Parameters
        ----------
        kind
            What it tells, a noun and a past participle: ``model.promoted``.
        cause
            The row that made this one happen.
        once
            A name under which this may be recorded a single time.

        Raises
        ------
        ConflictError
            A row with this `once` exists: somebody did it, or is about to.
        """
        entry = Entry(
            id=uuid.uuid4().hex,
            kind=kind,
            recorded_at=self._clock(),
            as_of=as_of,
            cause=cause.id if isinstance(cause, Entry) else cause,
            once=once,
            body=body,
        )
        values = {
            "id": entry.id,
            "kind": kind,
            "recorded_at": _text(entry.recorded_at),
            "as_of": _text(as_of) if as_of else None,
            "cause": entry.cause,
            "once": once,
            "body": json.dumps(body, sort_keys=True, allow_nan=False),
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(_entries.insert().values(values))
        except IntegrityError as exc:
            if once is not None and self.named(once) is not None:
                raise ConflictError(
                    f"The ledger already holds {once!r}.", remedy="See it with `mlops status`."
                ) from exc
            raise
        return entry

    def record_once(self, once: str, kind: str, **entry: Any) -> Entry:
        """Append a row unless one was recorded under this `once`; return the row that stands."""
        known = self.named(once)
        if known is not None:
            return known
        try:
            return self.record(kind, once=once, **entry)
        except ConflictError:
            standing = self.named(once)
            assert standing is not None
            return standing

    def named(self, once: str) -> Entry | None:
        """Return the row recorded under this `once`, if any."""
        return next(self._select(_entries.c.once == once), None)

    def get(self, id: str) -> Entry | None:
        """Return the row with this id, if any."""
        return next(self._select(_entries.c.id == id), None)

    def entries(self, *kinds: str) -> list[Entry]:
        """Return the rows of these kinds (all kinds where none is named), oldest first."""
        return list(self._select(_entries.c.kind.in_(kinds)) if kinds else self._select())

    def last(self, *kinds: str) -> Entry | None:
        """Return the newest row of these kinds, if any."""
        return next(self._select(_entries.c.kind.in_(kinds), newest_first=True), None)

    def effects(self, cause: Entry | str) -> list[Entry]:
        """Return the rows that name `cause` as their cause, oldest first."""
        id = cause.id if isinstance(cause, Entry) else cause
        return list(self._select(_entries.c.cause == id))

    def close(self) -> None:
        """Give back the database's connections."""
        self._engine.dispose()

    def _select(self, *where: Any, newest_first: bool = False) -> Iterator[Entry]:
        order = _entries.c.seq.desc() if newest_first else _entries.c.seq
        with self._engine.connect() as connection:
            for row in connection.execute(select(_entries).where(*where).order_by(order)).mappings():
                yield Entry(
                    id=row["id"],
                    kind=row["kind"],
                    recorded_at=datetime.fromisoformat(row["recorded_at"]),
                    as_of=datetime.fromisoformat(row["as_of"]) if row["as_of"] else None,
                    cause=row["cause"],
                    once=row["once"],
                    body=json.loads(row["body"]),
                )


def _open(uri: str) -> Engine:
    sqlite = uri.startswith("sqlite:///")
    if sqlite:
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(uri, connect_args={"timeout": 30} if sqlite else {})
    if sqlite:

        @event.listens_for(engine, "connect")
        def _durable(connection: Any, _: object) -> None:
            # Readers beside one writer; and a committed row survives a power loss.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")

    try:
        _create(engine)
        if sqlite:
            with engine.begin() as connection:
                for verb in ("UPDATE", "DELETE"):
                    connection.exec_driver_sql(_FORBID.format(verb=verb))
    except OperationalError as exc:
        raise UnavailableError(
            "The ledger",
            uri,
            remedy="Check MLOPS_LEDGER_URI and that its folder can be written.",
            cause=exc.orig,
        ) from exc
    return engine


def _create(engine: Engine) -> None:
    try:
        _metadata.create_all(engine)
    except (OperationalError, ProgrammingError):
        # Another process made them between the look and the making: now they are there.
        _metadata.create_all(engine)


def _text(time: datetime) -> str:
    if time.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone: the ledger holds UTC")
    return time.astimezone(UTC).isoformat()
