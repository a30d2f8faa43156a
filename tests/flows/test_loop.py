"""What a project knows by itself: its present, the names of its moments, and bundles that it can trust."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mlops.errors import BundleError
from mlops.ledger.records import GateJudged, ModelMarked
from mlops.model.bundle import Bundle
from mlops.prediction_log.reader import compact
from mlops.prediction_log.segment import records
from mlops.prediction_log.writer import PredictionLog
from mlops.project.context import Project
from mlops.project.up_to_date import _is_incomplete
from mlops.rows import Rows
from mlops.task_types.predictions import Predictions
from tests.flows.orchard import bare
from tests.ledger_rows import promoted
from tests.tiny import tiny_bundle

PICKED = datetime(2013, 7, 4, 15, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with bare(tmp_path) as project:
        yield project


def served(project: Project, *times: datetime | str | None) -> None:
    """Log a row for each event time, as if it were answered now."""
    features = {"size": 4.0, "heat": 20.0, "colour": "red"}
    texts = [time.isoformat() if isinstance(time, datetime) else time for time in times]
    n = len(times)
    rows = Rows({}, [features] * n, [f"p{i}" for i in range(n)], texts)
    log = PredictionLog(project.folder.predictions, "d1")
    ids, at = [f"id{i}" for i in range(n)], datetime.now(UTC)
    log.write(records(rows, Predictions([True] * n, [0.5] * n), ids=ids, at=at, deployment="d1", version="1"))
    log.close()


def test_the_present_is_just_after_the_newest_row(project: Project) -> None:
    served(project, PICKED - timedelta(days=1), PICKED)
    assert project.present() == PICKED + timedelta(microseconds=1)


@pytest.mark.parametrize("ahead", ["9999-12-31T23:59:59.999999+00:00", "2913-07-04T15:00:00+00:00"])
def test_a_row_that_is_yet_to_happen_does_not_move_the_present(project: Project, ahead: str) -> None:
    served(project, PICKED, ahead)
    assert project.present() == PICKED + timedelta(microseconds=1)
    compact(project.folder.predictions, project.schema)
    assert project.present() == PICKED + timedelta(microseconds=1)


def test_a_row_without_a_time_does_not_move_the_present(project: Project) -> None:
    served(project, PICKED, None)
    assert project.present() == PICKED + timedelta(microseconds=1)


def test_where_no_row_tells_the_present_it_is_now(project: Project) -> None:
    before = datetime.now(UTC)
    assert before <= project.present() <= datetime.now(UTC)
    served(project, None, "9999-12-31T00:00:00+00:00")
    assert before <= project.present() <= datetime.now(UTC)


def test_one_moment_has_one_name(project: Project) -> None:
    east = PICKED.astimezone(timezone(timedelta(hours=2)))
    named = {project.moment(moment).isoformat() for moment in (PICKED, east, PICKED.replace(tzinfo=None))}
    assert named == {PICKED.isoformat()}


class Shelf:
    """A registry that gives the same bundle whatever is asked for, or another one the next time."""

    def __init__(self, *strengths: float) -> None:
        self.strengths = list(strengths)

    def fetch(self, _: str, folder: Path) -> Path:
        return tiny_bundle(folder, compiled=False, strength=self.strengths.pop(0)).folder


def test_a_bundle_that_was_fetched_wrongly_stands_in_nobodys_way(project: Project, tmp_path: Path) -> None:
    wanted: Bundle = tiny_bundle(tmp_path / "wanted", compiled=False)
    project.__dict__["registry"] = Shelf(2.0, 1.0)
    with pytest.raises(BundleError, match=f"not {wanted.digest[:12]}"):
        project.bundle(wanted.digest, "1")
    assert list(project.folder.bundles.iterdir()) == []
    assert project.bundle(wanted.digest, "1").digest == wanted.digest


def test_a_verdict_or_a_promotion_that_mlflow_was_not_told_of_is_half_done(project: Project) -> None:
    told = []
    promotion = promoted(project.ledger)
    judged = project.ledger.get(promotion.cause, GateJudged)
    assert judged is not None
    for decided in (judged, promotion):
        told.append(_is_incomplete(project, judged))
        project.ledger.record(ModelMarked(alias=None), cause=decided)
    assert (*told, _is_incomplete(project, judged)) == (True, True, False)
