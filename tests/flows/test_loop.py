"""What a project knows by itself: its present, the names of its moments, and bundles that it can trust."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mlops.config.project_folder import Project
from mlops.config.settings import Settings
from mlops.errors import BundleError
from mlops.ledger.keys import marking
from mlops.model.bundle import Bundle
from mlops.model.predictions import Answers
from mlops.prediction_log.reader import compact
from mlops.prediction_log.segment import records
from mlops.prediction_log.writer import PredictionLog
from mlops.project.context import Loop
from mlops.project.up_to_date import _half_done
from mlops.schema import Rows
from tests.flows.orchard import PARAMS
from tests.tiny import tiny_bundle

PICKED = datetime(2013, 7, 4, 15, tzinfo=UTC)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    params = PARAMS.format(name="plums", hold=tmp_path / "hold", target="process")
    (tmp_path / "params.yaml").write_text(params)
    loop = Loop(Project(tmp_path, Settings()))
    yield loop
    loop.ledger.close()


def served(loop: Loop, *times: datetime | str | None) -> None:
    """Log a row for each event time, as if it were answered now."""
    features = {"size": 4.0, "heat": 20.0, "colour": "red"}
    texts = [time.isoformat() if isinstance(time, datetime) else time for time in times]
    n = len(times)
    rows = Rows({}, [features] * n, [f"p{i}" for i in range(n)], texts)
    log = PredictionLog(loop.project.predictions, "d1")
    ids, at = [f"id{i}" for i in range(n)], datetime.now(UTC)
    log.write(records(rows, Answers([True] * n, [0.5] * n), ids=ids, at=at, deployment="d1", version="1"))
    log.close()


def test_the_present_is_just_after_the_newest_row(loop: Loop) -> None:
    served(loop, PICKED - timedelta(days=1), PICKED)
    assert loop.present() == PICKED + timedelta(microseconds=1)


@pytest.mark.parametrize("ahead", ["9999-12-31T23:59:59.999999+00:00", "2913-07-04T15:00:00+00:00"])
def test_a_row_that_is_yet_to_happen_does_not_move_the_present(loop: Loop, ahead: str) -> None:
    served(loop, PICKED, ahead)
    assert loop.present() == PICKED + timedelta(microseconds=1)
    compact(loop.project.predictions, loop.schema)
    assert loop.present() == PICKED + timedelta(microseconds=1)


def test_a_row_without_a_time_does_not_move_the_present(loop: Loop) -> None:
    served(loop, PICKED, None)
    assert loop.present() == PICKED + timedelta(microseconds=1)


def test_where_no_row_tells_the_present_it_is_now(loop: Loop) -> None:
    before = datetime.now(UTC)
    assert before <= loop.present() <= datetime.now(UTC)
    served(loop, None, "9999-12-31T00:00:00+00:00")
    assert before <= loop.present() <= datetime.now(UTC)


def test_one_moment_has_one_name(loop: Loop) -> None:
    east = PICKED.astimezone(timezone(timedelta(hours=2)))
    named = {loop.moment(moment).isoformat() for moment in (PICKED, east, PICKED.replace(tzinfo=None))}
    assert named == {PICKED.isoformat()}


class Shelf:
    """A registry that gives the same bundle whatever is asked for, or another one the next time."""

    def __init__(self, *strengths: float) -> None:
        self.strengths = list(strengths)

    def fetch(self, _: str, folder: Path) -> Path:
        return tiny_bundle(folder, compiled=False, strength=self.strengths.pop(0)).folder


def test_a_bundle_that_was_fetched_wrongly_stands_in_nobodys_way(loop: Loop, tmp_path: Path) -> None:
    wanted: Bundle = tiny_bundle(tmp_path / "wanted", compiled=False)
    loop.__dict__["registry"] = Shelf(2.0, 1.0)
    with pytest.raises(BundleError, match=f"not {wanted.digest[:12]}"):
        loop.bundle(wanted.digest, "1")
    assert list(loop.project.bundles.iterdir()) == []
    assert loop.bundle(wanted.digest, "1").digest == wanted.digest


def test_a_verdict_or_a_promotion_that_mlflow_was_not_told_of_is_half_done(loop: Loop) -> None:
    told = []
    judged = loop.ledger.record("gate.judged", promote=True)
    promoted = loop.ledger.record("model.promoted", cause=judged)
    for decided in (judged, promoted):
        told.append(_half_done(loop, judged))
        loop.ledger.record_once(marking(decided), "model.marked", cause=decided, alias=None)
    assert (*told, _half_done(loop, judged)) == (True, True, False)
