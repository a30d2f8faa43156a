"""What the loop expects of its ledger, in SQLite and in Postgres.

Postgres is tried where MLOPS_TEST_POSTGRES names a database that tables may be made in.
"""

from __future__ import annotations

import json
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

from mlops.errors import FormatError, UnavailableError, UsageError
from mlops.ledger.entry import Entry
from mlops.ledger.records import (
    DataVersioned,
    DriftChecked,
    DriftConfirmed,
    GateJudged,
    ModelMarked,
    ModelPromoted,
    ModelRegistered,
    RetrainStarted,
    RunAbandoned,
    RunRequested,
)
from mlops.ledger.store import FORMAT, Ledger
from tests.ledger_rows import COMPARISON, made

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
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
    engine = create_engine(plain.set(drivername=DRIVERS[plain.get_backend_name()]))
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
    versioned, registered = made(DataVersioned, rows=3), made(ModelRegistered, version="7")
    first = ledger.record(versioned, as_of=datetime(2013, 4, 1, 2, tzinfo=east))
    second = ledger.record(registered, cause=first)
    again = Ledger(uri)
    assert again.get(first.id) == Entry(first.id, versioned, NOW, datetime(2013, 4, 1, tzinfo=UTC))
    assert again.find(ModelRegistered, name="plums", version="7", run_id="r1") == second == again.newest()
    assert again.effects(first) == again.effects(first, ModelRegistered) == [second]
    assert again.effects(first, DataVersioned) == []
    assert again.get(second.id, ModelRegistered) == second
    assert again.get(second.id, DataVersioned) is again.get("nobody") is again.get(None) is None
    again.close()


def test_for_one_row_one_row_is_asked_for(ledger: Ledger) -> None:
    rows = [ledger.record(made(ModelRegistered, version=str(n))) for n in range(3)]
    asked: list[str] = []

    def hear(*told: Any) -> None:
        asked.append(told[2])

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        found = ledger.find(ModelRegistered, name="plums", version="0", run_id="r1")
        assert (found, ledger.get(rows[0].id)) == (rows[0], rows[0])
        assert (ledger.last(ModelRegistered), ledger.newest()) == (rows[-1], rows[-1])
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    reads = [statement for statement in asked if statement.startswith("SELECT")]
    assert [statement.count("LIMIT") for statement in reads] == [1] * 4


def test_rows_come_in_the_order_they_were_recorded(ledger: Ledger) -> None:
    kinds = (RunRequested, RunAbandoned)
    rows = [ledger.record(made(kinds[n % 2], flow=f"flow-{n}")) for n in range(12)]
    assert ledger.entries() == rows == ledger.entries(*kinds)
    assert ledger.entries(RunRequested) == rows[::2]
    assert ledger.last(*kinds) == rows[-1]
    assert ledger.last(RunRequested) == rows[-2]


@pytest.mark.parametrize(
    "statement", ["UPDATE entries SET kind = 'other'", "DELETE FROM entries", "TRUNCATE entries"]
)
def test_a_row_is_never_changed(uri: str, ledger: Ledger, statement: str) -> None:
    if statement.startswith("TRUNCATE") and uri.startswith("sqlite"):
        pytest.skip("SQLite has no TRUNCATE")
    row = ledger.record(made(RunRequested))
    with pytest.raises(DBAPIError, match="append-only"):
        by_hand(uri, statement)
    Ledger(uri).close()  # opened again it is no other
    with pytest.raises(DBAPIError, match="append-only"):
        by_hand(uri, statement)
    assert ledger.entries() == [row]


@pytest.mark.parametrize("same", ["id", "seq", "idempotency_key"])
def test_no_row_takes_the_place_of_another(uri: str, ledger: Ledger, same: str) -> None:
    if not uri.startswith("sqlite"):
        pytest.skip("only SQLite replaces a row that is in the way")
    row = ledger.record(made(ModelRegistered))
    columns = "seq, id, kind, recorded_at, idempotency_key, format, sentence, body"
    given = {"seq": "99", "id": "'other'", "idempotency_key": "'other'"} | {same: same}
    with pytest.raises(DBAPIError, match="append-only"):
        by_hand(
            uri,
            f"INSERT OR REPLACE INTO entries ({columns}) SELECT {given['seq']}, {given['id']}, kind, "
            f"recorded_at, {given['idempotency_key']}, format, sentence, '{{}}' FROM entries",
        )
    assert ledger.entries() == [row]


def test_what_has_one_key_is_recorded_once_and_everybody_gets_that_row(ledger: Ledger) -> None:
    started = ledger.record(made(RetrainStarted))
    first = ledger.record(made(ModelPromoted, version="1"), cause=started)
    assert ledger.record(made(ModelPromoted, version="2"), cause=started) == first
    assert ledger.find(ModelPromoted, cause=started.id) == first
    names = iter(range(6))
    results = at_once(6, lambda: ledger.record(made(ModelMarked, alias=str(next(names))), cause=started))
    assert results == [ledger.find(ModelMarked, cause=started.id)] * 6
    assert len(ledger.entries(ModelMarked)) == 1


def test_what_has_no_key_is_recorded_each_time(ledger: Ledger) -> None:
    rows = [ledger.record(made(RunRequested)) for _ in range(2)]
    assert ledger.entries(RunRequested) == rows
    assert [row.key for row in rows] == [None, None]


def test_a_record_whose_key_names_its_cause_must_have_one(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match=r"drift\.checked is recorded once per cause, as_of"):
        ledger.record(made(DriftChecked))
    assert ledger.entries() == []


def test_a_cause_must_be_there(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError):
        ledger.record(made(DriftConfirmed), cause="nobody")


def test_opened_by_many_at_once_it_is_one(uri: str) -> None:
    opened = at_once(6, lambda: Ledger(uri))
    ledgers = [ledger for ledger in opened if isinstance(ledger, Ledger)]
    assert len(ledgers) == 6, opened
    ledgers[0].record(made(RunRequested))
    with pytest.raises(DBAPIError, match="append-only"):
        by_hand(uri, "DELETE FROM entries")
    for ledger in ledgers:
        assert len(ledger.entries()) == 1
        ledger.close()


def test_a_time_without_a_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        ledger.record(made(RunRequested), as_of=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="no time zone"):
        ledger.record(made(GateJudged, fitted_until=datetime(2026, 1, 1)), cause="x")
    assert ledger.entries() == []


def test_who_reads_with_sql_finds_the_sentence_and_the_figures(uri: str, ledger: Ledger) -> None:
    judged = ledger.record(made(GateJudged), cause=ledger.record(made(ModelRegistered)))
    engine = create_engine(make_url(uri).set(drivername=DRIVERS[make_url(uri).get_backend_name()]))
    with engine.connect() as connection:
        query = "SELECT format, sentence, body FROM entries WHERE kind = 'gate.judged'"
        [(format, sentence, body)] = connection.exec_driver_sql(query).all()
    engine.dispose()
    assert (format, sentence) == (FORMAT, judged.record.sentence)
    assert json.loads(body)["comparison"]["difference"] == COMPARISON.difference


FOREIGN = {
    "a newer format": (
        {"format": 99},
        r"row 1, run\.requested, is of format 99; .* reads format 1",
    ),
    "an unknown kind": ({"kind": "'run.dreamt'"}, r"row 1, run\.dreamt, is of format 1.*the kind is unknown"),
    "an unknown field": (
        {"body": '\'{"flow": "train", "mood": "good"}\''},
        r"run\.requested, is of format 1.*the field mood is unknown",
    ),
    "a missing field": ({"body": "'{}'"}, r"the field flow is missing"),
    "another type": ({"body": "'{\"flow\": 7}'"}, r"the field flow is 7, not str"),
}


@pytest.mark.parametrize(("changes", "match"), FOREIGN.values(), ids=FOREIGN)
def test_a_row_that_this_version_does_not_know_is_refused_by_name(
    uri: str, ledger: Ledger, changes: dict[str, object], match: str
) -> None:
    row = {
        "id": "'x'",
        "kind": "'run.requested'",
        "recorded_at": f"'{NOW.isoformat()}'",
        "format": FORMAT,
        "sentence": "''",
        "body": '\'{"flow": "train"}\'',
    } | changes
    by_hand(uri, f"INSERT INTO entries ({', '.join(row)}) VALUES ({', '.join(str(v) for v in row.values())})")
    with pytest.raises(FormatError, match=match) as refused:
        ledger.entries()
    assert "newer one" in refused.value.remedy


def test_a_table_from_before_formats_is_refused_by_name(uri: str) -> None:
    if uri.startswith("sqlite"):
        Path(make_url(uri).database or "").parent.mkdir(parents=True)
    by_hand(
        uri,
        "CREATE TABLE entries (seq INTEGER PRIMARY KEY, id VARCHAR(32) UNIQUE, kind VARCHAR(64), body TEXT)",
    )
    with pytest.raises(FormatError, match=r"format None; .* reads format 1 \(no column .*format"):
        Ledger(uri)


@pytest.mark.postgres
def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(UnavailableError, match=r"ada:\*\*\*@127\.0\.0\.1:1/flights") as raised:
        Ledger("postgresql://ada:secret@127.0.0.1:1/flights")
    assert "secret" not in str(raised.value)


@pytest.mark.postgres
def test_a_database_that_was_started_again_is_found_again(uri: str, ledger: Ledger) -> None:
    if uri.startswith("sqlite"):
        pytest.skip("SQLite has no server")
    ledger.record(made(RunRequested))
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
