"""The ledger: every decision of the loop, append-only, each row with its cause.

One table. A row is never changed: what happens next to a thing is another row that names
the first as its cause. A row's `once` is unique where it is given, which is how two
processes that want to do the same thing find out that only one of them may.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)

from mlops.errors import ConfigError, ConflictError, UnavailableError, UsageError

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

_SQLITE = """
CREATE TRIGGER IF NOT EXISTS entries_no_{verb} BEFORE {verb} ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END
"""
# Else `INSERT OR REPLACE` would put a row in the place of another, which fires no trigger of DELETE.
_SQLITE_ANEW = """
CREATE TRIGGER IF NOT EXISTS entries_no_replacement BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE id = NEW.id OR seq = NEW.seq OR once = NEW.once)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only, and holds this row'); END
"""
_POSTGRES = """
DO $do$ BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_trigger WHERE tgname = 'entries_no_change' AND tgrelid = 'entries'::regclass
  ) THEN
    CREATE OR REPLACE FUNCTION entries_append_only() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$;
    CREATE TRIGGER entries_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
      FOR EACH STATEMENT EXECUTE FUNCTION entries_append_only();
  END IF;
END $do$
"""
_FORBID = {
    "sqlite": (*(_SQLITE.format(verb=verb) for verb in ("UPDATE", "DELETE")), _SQLITE_ANEW),
    "postgresql": (_POSTGRES,),
}
_PATIENCE = 30.0
"""Seconds to wait for other processes that make the table."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {"connect_args": {"timeout": 30}},
    # A server that was started again has dropped the connections that a long-lived process kept.
    "postgresql": {"connect_args": {"connect_timeout": 10}, "pool_pre_ping": True},
}


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
        A SQLAlchemy address, as ``sqlite:////home/me/project/.mlops/ledger.db`` or
        ``postgresql://me:secret@host/flights``.
    clock
        Gives the recorded time, UTC.

    Raises
    ------
    UnavailableError
        The database cannot be opened; any method raises it where the database went away.
    UsageError
        The address is none, or its driver is not installed.
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
            with _answering(self._engine), self._engine.begin() as connection:
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
        return next(self._select(_entries.c.once == once, most=1), None)

    def get(self, id: str) -> Entry | None:
        """Return the row with this id, if any."""
        return next(self._select(_entries.c.id == id, most=1), None)

    def entries(self, *kinds: str) -> list[Entry]:
        """Return the rows of these kinds (all kinds where none is named), oldest first."""
        return list(self._select(_entries.c.kind.in_(kinds)) if kinds else self._select())

    def last(self, *kinds: str) -> Entry | None:
        """Return the newest row of these kinds, if any."""
        return next(self._select(_entries.c.kind.in_(kinds), newest_first=True, most=1), None)

    def newest(self) -> Entry | None:
        """Return the newest row of any kind, if any."""
        return next(self._select(newest_first=True, most=1), None)

    def effects(self, cause: Entry | str) -> list[Entry]:
        """Return the rows that name `cause` as their cause, oldest first."""
        id = cause.id if isinstance(cause, Entry) else cause
        return list(self._select(_entries.c.cause == id))

    def close(self) -> None:
        """Give back the database's connections."""
        self._engine.dispose()

    def _select(self, *where: Any, newest_first: bool = False, most: int | None = None) -> Iterator[Entry]:
        order = _entries.c.seq.desc() if newest_first else _entries.c.seq
        asked = select(_entries).where(*where).order_by(order).limit(most)
        with _answering(self._engine), self._engine.connect() as connection:
            for row in connection.execute(asked).mappings():
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
    url = _address(uri)
    sqlite, shown = url.get_backend_name() == "sqlite", url.render_as_string(hide_password=True)
    if sqlite and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        engine = create_engine(url, **_OPTIONS.get(url.get_backend_name(), {}))
    except (ImportError, NoSuchModuleError) as exc:
        raise UsageError(
            f"MLOPS_LEDGER_URI names {shown}, whose driver is not installed: {exc}.",
            remedy="Install it; for Postgres it is `psycopg[binary]`, the extra `postgres`.",
        ) from exc
    if sqlite:

        @event.listens_for(engine, "connect")
        def _durable(connection: Any, _: object) -> None:
            # Readers beside one writer; and a committed row survives a power loss.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")

    with _answering(engine):
        _create(engine)
    return engine


def _address(uri: str) -> URL:
    """Read a database's address; one of Postgres that names no driver means the one we install."""
    try:
        url = make_url(uri)
    except ArgumentError as exc:
        raise ConfigError(
            "MLOPS_LEDGER_URI",
            value="what is no address",
            allowed="postgresql://USER:PASSWORD@HOST/NAME, or sqlite:////FOLDER/ledger.db",
            file="environment",
        ) from exc
    plain = url.drivername in {"postgres", "postgresql"}
    return url.set(drivername="postgresql+psycopg") if plain else url


def _create(engine: Engine) -> None:
    """Make the table, and let nobody change a row of it."""
    forbid = _FORBID.get(engine.dialect.name, ())
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":  # whose `IF NOT EXISTS` two at once can break
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('mlops.ledger'))")
                _metadata.create_all(connection)
                for statement in forbid:
                    connection.exec_driver_sql(statement)
            return
        except (OperationalError, ProgrammingError) as exc:
            # Another process makes them, or has between the look and the making. SQLite does not
            # wait where both have looked already.
            at_work = any(word in str(exc.orig) for word in ("locked", "exists"))
            if not at_work or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def _answering(engine: Engine) -> Iterator[None]:
    """Tell in our words that the database does not answer."""
    try:
        yield
    except OperationalError as exc:
        raise UnavailableError(
            "The ledger",
            engine.url.render_as_string(hide_password=True),
            remedy="Check MLOPS_LEDGER_URI and that what it names can be written.",
            cause=str(exc.orig).strip().rstrip("."),
        ) from exc


def _text(time: datetime) -> str:
    if time.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone: the ledger holds UTC")
    return time.astimezone(UTC).isoformat()
