"""The ledger: every decision of the loop, append-only, each row with its cause.

One table. A row is never changed: what happens next to a thing is another row that names
the first as its cause. A row's idempotency key is unique where its record has one: of two processes
that record the same, one writes the row and both get it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast, overload

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
    inspect,
    select,
)
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.pool import StaticPool

from mlops.addresses import masked
from mlops.errors import ConfigError, FormatError, ShortageError, UnavailableError, UsageError, shown
from mlops.files import private
from mlops.files.shortage import find_shortage, probe
from mlops.ledger.codec import UnreadableValueError, utc_text
from mlops.ledger.entry import Entry
from mlops.ledger.read_only import read_only_copy
from mlops.ledger.record import Record
from mlops.ledger.records import RECORDS

__all__ = ["FORMAT", "Ledger"]

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=Record)

FORMAT = 1
"""The version of the rows that are written; a change of a record that old rows do not follow raises it."""
_KNOWN = (FORMAT,)
_BY_KIND = {record.kind: record for record in RECORDS}

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
    Column("idempotency_key", String(200), unique=True),
    Column("format", Integer, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("body", Text, nullable=False),
)

_SQLITE = """
CREATE TRIGGER IF NOT EXISTS entries_no_{verb} BEFORE {verb} ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END
"""
# Else `INSERT OR REPLACE` would put a row in the place of another, which fires no trigger of DELETE.
_SQLITE_ANEW = """
CREATE TRIGGER IF NOT EXISTS entries_no_replacement BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE id = NEW.id OR seq = NEW.seq
  OR idempotency_key = NEW.idempotency_key)
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
    ShortageError
        A disk is full or read-only, and there is no SQLite file yet. Where there is one, the rows in it can
        be read, and `record` raises this.
    UsageError
        The address is none, or its driver is not installed.
    """

    def __init__(self, uri: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._url = _address(uri)
        self._only_reads = False
        try:
            self._engine = _open(self._url)
        except ShortageError:
            copy = read_only_copy(Path(self._url.database or ""))
            if copy is None:
                raise
            self._only_reads = True
            self._engine = create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool)

    def record(
        self, record: R, *, cause: Entry[Record] | str | None = None, as_of: datetime | None = None
    ) -> Entry[R]:
        """Append a row and return it once it is durable.

        Where a row has the record's idempotency key already, that one is returned and nothing is appended.

        Parameters
        ----------
        cause
            The row that made this one happen, or its id.
        as_of
            The event time it was done for.

        Raises
        ------
        ValueError
            A time without a zone, or a number that is not finite.
        """
        if self._only_reads:  # there may be space by now
            self._engine, self._only_reads = _open(self._url), False
        why = cause.id if isinstance(cause, Entry) else cause
        key = record.key(cause=why, as_of=as_of)
        existing = self._keyed(key)
        if existing is not None:
            return cast(Entry[R], existing)
        entry = Entry(uuid.uuid4().hex, record, self._clock(), as_of, why, key)
        try:
            with _translated_errors(self._engine), self._engine.begin() as connection:
                connection.execute(_entries.insert().values(_row(entry)))
        except IntegrityError:
            # Another process recorded it meanwhile; or the cause is missing, and nothing has the key.
            first = self._keyed(key)
            if first is None:
                raise
            return cast(Entry[R], first)
        return entry

    def find(self, kind: type[R], **parts: Any) -> Entry[R] | None:
        """Return the row of a kind by the parts of its idempotency key, if any.

        Parameters
        ----------
        parts
            As the kind's `key_template` names them: ``find(ModelPromoted, cause=judged.id)``.
        """
        return cast(Entry[R] | None, self._keyed(kind.key_of(**parts)))

    @overload
    def get(self, id: str | None) -> Entry[Record] | None: ...
    @overload
    def get(self, id: str | None, kind: type[R]) -> Entry[R] | None: ...
    def get(self, id: str | None, kind: type[Record] = Record) -> Entry[Record] | None:
        """Return the row with this id, if there is one, and of this kind where one is named."""
        entry = next(self._select(_entries.c.id == id, most=1), None) if id else None
        return entry if entry is not None and isinstance(entry.record, kind) else None

    @overload
    def entries(self) -> list[Entry[Record]]: ...
    @overload
    def entries(self, kind: type[R], /) -> list[Entry[R]]: ...
    @overload
    def entries(self, kind: type[R], other: type[S], /) -> list[Entry[R | S]]: ...
    @overload
    def entries(self, *kinds: type[Record]) -> list[Entry[Record]]: ...
    def entries(self, *kinds: type[Record]) -> list[Any]:
        """Return the rows of these kinds (all kinds where none is named), oldest first."""
        return list(self._select(*_of(kinds)))

    @overload
    def last(self, kind: type[R], /) -> Entry[R] | None: ...
    @overload
    def last(self, kind: type[R], other: type[S], /) -> Entry[R | S] | None: ...
    def last(self, *kinds: type[Record]) -> Any:
        """Return the newest row of these kinds, if any."""
        return next(self._select(*_of(kinds), newest_first=True, most=1), None)

    def newest(self) -> Entry[Record] | None:
        """Return the newest row of any kind, if any."""
        return next(self._select(newest_first=True, most=1), None)

    @overload
    def effects(self, cause: Entry[Record] | str) -> list[Entry[Record]]: ...
    @overload
    def effects(self, cause: Entry[Record] | str, kind: type[R], /) -> list[Entry[R]]: ...
    @overload
    def effects(self, cause: Entry[Record] | str, kind: type[R], other: type[S], /) -> list[Entry[R | S]]: ...
    def effects(self, cause: Entry[Record] | str, *kinds: type[Record]) -> list[Any]:
        """Return the rows of these kinds (all where none is named) whose cause is `cause`, oldest first."""
        id = cause.id if isinstance(cause, Entry) else cause
        return list(self._select(_entries.c.cause == id, *_of(kinds)))

    def close(self) -> None:
        """Give back the database's connections."""
        self._engine.dispose()

    def _keyed(self, key: str | None) -> Entry[Record] | None:
        if key is None:
            return None
        return next(self._select(_entries.c.idempotency_key == key, most=1), None)

    def _select(
        self, *where: Any, newest_first: bool = False, most: int | None = None
    ) -> Iterator[Entry[Record]]:
        order = _entries.c.seq.desc() if newest_first else _entries.c.seq
        query = select(_entries).where(*where).order_by(order).limit(most)
        with _translated_errors(self._engine), self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                yield _entry(row)


def _of(kinds: tuple[type[Record], ...]) -> list[Any]:
    return [_entries.c.kind.in_([kind.kind for kind in kinds])] if kinds else []


def _row(entry: Entry[Record]) -> dict[str, Any]:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "recorded_at": utc_text(entry.recorded_at),
        "as_of": utc_text(entry.as_of) if entry.as_of else None,
        "cause": entry.cause,
        "idempotency_key": entry.key,
        "format": FORMAT,
        "sentence": entry.record.sentence,  # for who reads with SQL; the fields are what counts
        "body": json.dumps(entry.record.to_dict(), sort_keys=True, allow_nan=False),
    }


def _entry(row: Any) -> Entry[Record]:
    what = f"The ledger's row {row['seq']}, {row['kind']},"
    if row["format"] not in _KNOWN:
        raise FormatError(what, row["format"], *_KNOWN)
    kind = _BY_KIND.get(row["kind"])
    if kind is None:
        raise FormatError(what, row["format"], *_KNOWN, detail="the kind is unknown")
    try:
        record = kind.from_dict(json.loads(row["body"]))
    except UnreadableValueError as exc:
        raise FormatError(what, row["format"], *_KNOWN, detail=str(exc)) from exc
    return Entry(
        id=row["id"],
        record=record,
        recorded_at=datetime.fromisoformat(row["recorded_at"]),
        as_of=datetime.fromisoformat(row["as_of"]) if row["as_of"] else None,
        cause=row["cause"],
        key=row["idempotency_key"],
    )


def _open(url: URL) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and url.database:
        _create_file(Path(url.database))
    try:
        engine = create_engine(url, **_OPTIONS.get(url.get_backend_name(), {}))
    except (ImportError, NoSuchModuleError) as exc:
        raise UsageError(
            f"MLOPS_LEDGER_URI names {_shown(url)}, whose driver is not installed: {exc}.",
            remedy="Install it; for Postgres it is `psycopg[binary]`, the extra `postgres`.",
        ) from exc
    if sqlite:

        @event.listens_for(engine, "connect")
        def _durable(connection: Any, _: object) -> None:
            # Readers beside one writer; and a committed row survives a power loss.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")

    with _translated_errors(engine):
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


def _create_file(path: Path) -> None:
    """Make the database's file, for its owner alone; SQLite makes those beside it with the same rights."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private.create_file(path)


def _shown(url: URL) -> str:
    return masked(url.render_as_string(hide_password=False))  # what SQLAlchemy hides is the user's password


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
                _check_columns(connection)
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


def _check_columns(connection: Connection) -> None:
    """Refuse a table that was made before its rows had a format."""
    missing = set(_entries.c.keys()) - {each["name"] for each in inspect(connection).get_columns("entries")}
    if missing:
        where = _shown(connection.engine.url)
        raise FormatError(
            f"The ledger at {where}", None, *_KNOWN, detail=f"no column {shown(sorted(missing))}"
        )


@contextmanager
def _translated_errors(engine: Engine) -> Iterator[None]:
    """Raise our own error where the database does not respond."""
    try:
        yield
    except OperationalError as exc:
        if engine.dialect.name == "sqlite" and engine.url.database:
            # SQLite calls a full disk an I/O error where it needs its file of shared memory.
            file = Path(engine.url.database)
            if shortage := find_shortage(exc, file) or probe(file.parent):
                raise shortage from exc
        raise UnavailableError(
            "The ledger",
            _shown(engine.url),
            remedy="Check MLOPS_LEDGER_URI and that what it names can be written.",
            cause=str(exc.orig).strip().rstrip("."),
        ) from exc
