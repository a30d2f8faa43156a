"""What the loop expects of its ledger, in SQLite and in Postgres.

Postgres is tried where MLOPS_TEST_POSTGRES names a database that tables may be made in.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from mlops.errors import ConflictError, UnavailableError, UsageError
from mlops.ledger.store import Entry, Ledger

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty place for a ledger."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"
        return
    given = make_url(os.environ["MLOPS_TEST_POSTGRES"]).set(drivername="postgresql+psycopg")
    schema = f"ledger_{uuid.uuid4().hex}"
    engine = create_engine(given, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    own = given.update_query_dict({"options": f"-csearch_path={schema}"})
    yield own.set(drivername="postgresql").render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    engine.dispose()


@pytest.fixture
def ledger(uri: str) -> Iterator[Ledger]:
    ledger = Ledger(uri, clock=lambda: NOW)
    yield ledger
    ledger.close()


def by_hand(uri: str, statement: str) -> None:
    """Change the database as somebody with its password does."""
    plain = make_url(uri)
    driver = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}[plain.get_backend_name()]
    engine = create_engine(plain.set(drivername=driver))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def at_once(times: int, body: Callable[[], object]) -> list[object]:
    """Do a thing in several threads at the same moment; return what each gave or raised."""
    gate, results = threading.Barrier(times), []

    def run() -> None:
        gate.wait()
        try:
            results.append(body())
        except Exception as exc:
            results.append(exc)

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_row_comes_back_as_it_was_recorded(uri: str, ledger: Ledger) -> None:
    east = timezone(timedelta(hours=2))
    first = ledger.record("data.versioned", as_of=datetime(2013, 4, 1, 2, tzinfo=east), rows=3, md5="a.dir")
    second = ledger.record("model.registered", cause=first, once="registered:1", version="1")
    again = Ledger(uri)
    assert again.get(first.id) == Entry(
        first.id, "data.versioned", NOW, datetime(2013, 4, 1, tzinfo=UTC), body={"md5": "a.dir", "rows": 3}
    )
    assert again.named("registered:1") == second == again.newest()
    assert again.effects(first) == [second]
    assert again.get("nobody") is None
    again.close()


def test_for_one_row_one_row_is_asked_for(ledger: Ledger) -> None:
    first, *_, last = (ledger.record("a.done", once=f"a:{n}") for n in range(3))
    asked: list[str] = []

    def hear(*told: Any) -> None:
        asked.append(told[2])

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        assert (ledger.named("a:0"), ledger.get(first.id)) == (first, first)
        assert (ledger.last("a.done"), ledger.newest()) == (last, last)
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    reads = [statement for statement in asked if statement.startswith("SELECT")]
    assert [statement.count("LIMIT") for statement in reads] == [1] * 4


def test_rows_come_in_the_order_they_were_recorded(ledger: Ledger) -> None:
    rows = [ledger.record(f"kind.{n % 2}", n=n) for n in range(12)]
    assert ledger.entries() == rows
    assert ledger.entries("kind.0") == rows[::2]
    assert ledger.last("kind.0", "kind.1") == rows[-1]


@pytest.mark.parametrize(
    "statement", ["UPDATE entries SET kind = 'other'", "DELETE FROM entries", "TRUNCATE entries"]
)
def test_a_row_is_never_changed(uri: str, ledger: Ledger, statement: str) -> None:
    if statement.startswith("TRUNCATE") and uri.startswith("sqlite"):
        pytest.skip("SQLite has no TRUNCATE")
    row = ledger.record("model.promoted")
    with pytest.raises(DBAPIError, match="append-only"):
        by_hand(uri, statement)
    Ledger(uri).close()  # opened again it is no other
    with pytest.raises(DBAPIError, match="append-only"):
        by_hand(uri, statement)
    assert ledger.entries() == [row]


@pytest.mark.parametrize("same", ["id", "seq", "once"])
def test_no_row_takes_the_place_of_another(uri: str, ledger: Ledger, same: str) -> None:
    if not uri.startswith("sqlite"):
        pytest.skip("only SQLite replaces a row that is in the way")
    row = ledger.record("gate.judged", once="judged:1", promote=False)
    columns = "seq, id, kind, recorded_at, once, body"
    given = {"seq": "99", "id": "'other'", "once": "'other'"} | {same: same}
    with pytest.raises(DBAPIError, match="append-only"):
        by_hand(
            uri,
            f"INSERT OR REPLACE INTO entries ({columns}) "
            f"SELECT {given['seq']}, {given['id']}, kind, recorded_at, {given['once']}, '{{}}' FROM entries",
        )
    assert ledger.entries() == [row]


def test_what_may_happen_once_happens_once(ledger: Ledger) -> None:
    first = ledger.record("model.promoted", once="promoted:1", version="1")
    with pytest.raises(ConflictError, match="promoted:1"):
        ledger.record("model.promoted", once="promoted:1", version="2")
    assert ledger.record_once("promoted:1", "model.promoted", version="3") == first
    results = at_once(6, lambda: ledger.record("retrain.started", once="claim"))
    assert [type(result) for result in results].count(ConflictError) == 5
    assert [result for result in results if isinstance(result, Entry)] == [ledger.named("claim")]


def test_a_cause_must_be_there(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError):
        ledger.record("drift.confirmed", cause="nobody")


def test_opened_by_many_at_once_it_is_one(uri: str) -> None:
    opened = at_once(6, lambda: Ledger(uri))
    ledgers = [ledger for ledger in opened if isinstance(ledger, Ledger)]
    assert len(ledgers) == 6, opened
    ledgers[0].record("a.thing")
    with pytest.raises(DBAPIError, match="append-only"):
        by_hand(uri, "DELETE FROM entries")
    for ledger in ledgers:
        assert len(ledger.entries()) == 1
        ledger.close()


def test_a_time_without_a_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        ledger.record("a.thing", as_of=datetime(2026, 1, 1))
    assert ledger.entries() == []


@pytest.mark.postgres
def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(UnavailableError, match=r"ada:\*\*\*@127\.0\.0\.1:1/flights") as raised:
        Ledger("postgresql://ada:secret@127.0.0.1:1/flights")
    assert "secret" not in str(raised.value)


@pytest.mark.postgres
def test_a_database_that_was_started_again_is_found_again(uri: str, ledger: Ledger) -> None:
    if uri.startswith("sqlite"):
        pytest.skip("SQLite has no server")
    ledger.record("a.thing")
    with pytest.raises(DBAPIError):  # it ends itself, too
        by_hand(
            uri, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        )
    assert len(ledger.entries()) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(UnavailableError, match=r"ledger\.db"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.mark.parametrize("uri", ["", "no address", "oracle+nodriver://me@host/db"])
def test_what_is_no_address_is_named_by_its_variable(uri: str) -> None:
    with pytest.raises(UsageError, match="MLOPS_LEDGER_URI"):
        Ledger(uri)
