"""When `make demo` fails: where the loop did not close, or the files contradict the table."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from mlops.ledger.record import Record
from mlops.ledger.records import DriftConfirmed, RetrainFinished, RetrainRefused
from mlops.ledger.store import Ledger
from mlops.prediction_log import reader
from mlops.prediction_log.writer import PredictionLog
from mlops.schema import Schema
from tests.ledger_rows import made, promoted

APRIL = datetime(2013, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def check() -> ModuleType:
    path = Path(__file__).parents[2] / "demo" / "check.py"
    spec = importlib.util.spec_from_file_location("demo_check", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / ".mlops").mkdir()
    ledger = Ledger(f"sqlite:///{tmp_path / '.mlops' / 'ledger.db'}")
    promoted(ledger)
    yield ledger
    ledger.close()


@pytest.mark.parametrize("answer", [RetrainFinished, RetrainRefused, None])
def test_a_drift_that_nobody_answered_is_told(
    tmp_path: Path, check: ModuleType, ledger: Ledger, answer: type[Record] | None
) -> None:
    drift = ledger.record(made(DriftConfirmed), cause=ledger.newest(), as_of=APRIL)
    if answer:
        ledger.record(made(answer), cause=drift, as_of=APRIL)
    expected = [] if answer else ["the drift confirmed as of 2013-05-01 was not answered"]
    assert check.unclosed(tmp_path, shuffled=False) == expected


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_promotion_on_noise_is_told(
    tmp_path: Path, check: ModuleType, ledger: Ledger, shuffled: bool
) -> None:
    assert check.unclosed(tmp_path, shuffled=shuffled) == []
    promoted(ledger, version="2")
    expected = ["version 2 was promoted on labels that are noise"] if shuffled else []
    assert check.unclosed(tmp_path, shuffled=shuffled) == expected


def test_every_logged_row_is_checked_whether_its_segment_is_open_closed_or_compacted(
    tmp_path: Path, check: ModuleType
) -> None:
    schema = Schema({"size": "number"}, "ripe", "binary")
    for number, name in enumerate(("d1", "d2", "d3")):
        log = PredictionLog(tmp_path, name)
        row = {
            "key": None,
            "time": APRIL.isoformat(),
            "at": APRIL.isoformat(),
            "deployment": name,
            "version": "1",
        }
        log.write([{"id": f"{number:032x}", **row, "features": {"size": 1.0}, "prediction": 1, "score": 0.5}])
        if name != "d3":
            log.close()
        if name == "d1":
            reader.compact(tmp_path, schema)
    assert sorted(check._log(tmp_path)["deployment"]) == ["d1", "d2", "d3"]
