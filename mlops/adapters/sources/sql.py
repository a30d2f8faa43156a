"""The rows of a SQL query as a source of tables, by SQLAlchemy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mlops.addresses import masked
from mlops.config.source_params import SqlParams
from mlops.data import cursor
from mlops.data.source import Fetched, SourceContext
from mlops.errors import DataError, UnavailableError, UsageError
from mlops.files import parquet
from mlops.tables.csv_header import refuse_repeated

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy.engine import Connection, Engine

__all__ = ["SqlSource"]

log = logging.getLogger("mlops")

_ROWS = 50_000
_PLAIN: dict[type, Callable[[Any], Any]] = {Decimal: float, UUID: str, memoryview: bytes}


@dataclass(frozen=True)
class SqlSource:
    """What a query gives.

    Parameters
    ----------
    url
        Of the database, with its password: never shown or logged.
    column
        The cursor: of what the query gives, only rows beyond the greatest value taken so far.
    """

    name: str
    query: str
    url: str = field(repr=False)
    column: str | None = None

    @classmethod
    def from_params(cls, params: SqlParams, context: SourceContext) -> SqlSource:
        """Return the source that a section describes."""
        return cls(context.name, params.sql, context.expand(params.url, quoted=True), params.cursor)

    def fetch(self, since: Any, folder: Path) -> Iterator[Fetched]:
        """Give the new rows as one table, read in pieces; none where there are none."""
        import pyarrow as pa
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        engine, file, position = self._engine(), folder / f"{self.name}.parquet", [since]
        where = masked(engine.url.render_as_string(hide_password=False))
        try:
            with engine.connect() as connection:
                rows = parquet.gather(self._pieces(connection, position), file)
        except pa.ArrowException as exc:
            raise DataError(
                f"A column of the query of data.source has values of several types: {exc}.",
                remedy="Cast it in the query.",
            ) from exc
        except DBAPIError as exc:
            if exc.connection_invalidated or _is_away(exc):
                raise UnavailableError(
                    "The database of data.source", where, remedy="Check data.source.url.", cause=exc.orig
                ) from exc
            raise DataError(
                f"The query of data.source failed at {where}: {exc.orig}.", remedy="Correct data.source.sql."
            ) from exc
        except SQLAlchemyError as exc:
            raise DataError(f"The query of data.source failed at {where}: {exc}.") from exc
        finally:
            engine.dispose()
        if rows:
            yield Fetched(file, file.name, position[0], again=self.column is None)

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        try:
            return create_engine(self.url)
        except (ArgumentError, ValueError):  # the latter of a port; their messages contain the password
            raise UsageError(
                "data.source.url is not a database address.",
                remedy="Correct it; within a password write @ as %40, : as %3A, / as %2F.",
            ) from None
        except (ImportError, NoSuchModuleError) as exc:
            raise UsageError(
                f"The driver that data.source.url asks for is not installed: {exc}.",
                remedy="Install it; for Postgres it is `psycopg[binary]`, the extra `postgres`.",
            ) from exc

    def _pieces(self, connection: Connection, position: list[Any]) -> Iterator[pa.Table]:
        import pyarrow as pa
        from sqlalchemy import column, select, text

        statement: Any = text(self.query)
        if self.column is not None:
            grows: Any = column(self.column)
            # On a line of its own: what the query ends with may be a comment.
            statement = select(text("*")).select_from(
                text(f"({self.query.rstrip().rstrip(';')}\n) AS subquery")
            )
            if position[0] is not None:
                statement = statement.where(grows > cursor.value_of(position[0]))
            statement = statement.order_by(grows)
        result = connection.execution_options(stream_results=True, max_row_buffer=_ROWS).execute(statement)
        names = list(result.keys())
        refuse_repeated(names, "The query of data.source")
        if self.column is not None and self.column not in names:
            raise DataError(
                f"The query of data.source returns no column {self.column}.",
                remedy="Select it, or set data.source.cursor to another column.",
            )
        without = 0
        for rows in result.partitions(_ROWS):
            columns = dict(zip(names, zip(*rows, strict=True), strict=True))
            if self.column is not None:
                position[0] = cursor.greatest(position[0], columns[self.column], self.column)
                without += columns[self.column].count(None)
            yield pa.table({name: _array(values) for name, values in columns.items()})
        if without:
            log.warning(
                "%s of the query's rows have no %s: ingested now, but later rows without one will not be",
                f"{without:,}",
                self.column,
            )


def _array(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array([_PLAIN[type(value)](value) if type(value) in _PLAIN else value for value in values])


def _is_away(exc: Any) -> bool:
    """Return whether the database is unreachable, rather than the query wrong."""
    message = str(exc.orig).lower()
    return any(word in message for word in ("connect", "unable to open", "timeout", "refused"))
