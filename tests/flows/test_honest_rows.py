"""What a retraining adds to the loop's lake, or why it does not: in a project of its own, no server about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from mlops.adapters.git.worktree import Tree
from mlops.errors import ConflictError, DataError, TooFewRowsError
from mlops.ledger.entry import Entry
from mlops.ledger.records import RetrainStarted
from mlops.orchestration.tasks import ingest, retrain
from mlops.prediction_log import label_log
from mlops.prediction_log.segment import records
from mlops.prediction_log.writer import PredictionLog
from mlops.project.context import Project
from mlops.project.ingest import add_files
from mlops.rows import Rows
from mlops.task_types.predictions import Predictions
from tests.flows.orchard import BEGIN, plums, stamped
from tests.ledger_rows import promoted

HISTORY = 20
CHOSEN_UNTIL = (BEGIN + timedelta(days=HISTORY)).to_pydatetime()
"""The champion knows what was picked before."""
AS_OF = CHOSEN_UNTIL + timedelta(days=12)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose champion knows all of its lake, and whose loop has a tree of its own."""
    root = stamped(tmp_path / "plums")
    table = tmp_path / "history.parquet"
    plums(0, HISTORY, season=0).to_parquet(table)
    add_files(root, [table])
    promoted(Project.at(root).ledger, digest="a", version="1", fitted_until=CHOSEN_UNTIL)
    return root


@pytest.fixture
def tree(root: Path) -> Path:
    return ingest.loop_worktree.fn(root)


@pytest.fixture
def start(root: Path) -> Iterator[Callable[..., Entry]]:
    project = Project.at(root)

    def begin(as_of: datetime = AS_OF, *, explicit: bool = False) -> Entry:
        return project.ledger.record(RetrainStarted(explicit_as_of=explicit), as_of=as_of)

    yield begin
    project.ledger.close()


def serve(root: Path, rows: pd.DataFrame, *, labelled: int) -> None:
    """Log rows as served, and tell the labels of the first ones."""
    project = Project.at(root)
    served = rows[["size", "heat", "colour"]].to_dict("records")
    n, at = len(rows), datetime.now(UTC)
    times = [time.isoformat() for time in rows["picked"]]
    log = PredictionLog(project.folder.predictions, "d1")
    given = Rows({}, served, rows["plum"].tolist(), times)
    ids = [f"{at.timestamp()}-{i}" for i in range(n)]
    log.write(
        records(given, Predictions([True] * n, [0.5] * n), ids=ids, at=at, deployment="d1", version="1")
    )
    log.close()
    table, known = rows[["plum", "ripe"]].head(labelled), set(rows["plum"])
    label_log.add(project.folder.labels, table, by="key", schema=project.schema, known=known, at=at)


def test_a_month_of_which_few_have_their_label_is_refused_behind_years_that_have_theirs(
    root: Path, tree: Path, start: Callable[..., Entry]
) -> None:
    serve(root, plums(0, HISTORY, season=0), labelled=HISTORY * 40)
    serve(root, plums(HISTORY, 10, season=1), labelled=200)
    ingest.add_labelled_rows.fn(root, tree, start())  # of 400 half are enough
    serve(root, plums(HISTORY + 10, 1, season=1), labelled=0)
    with pytest.raises(TooFewRowsError, match=r"200 of the 440 rows served since .*45%.*50%") as raised:
        ingest.add_labelled_rows.fn(root, tree, start())
    assert "monitor.min_coverage" in raised.value.remedy
    assert "retrain.min_rows" not in raised.value.remedy


def test_where_nothing_was_served_the_lakes_own_tables_are_learnt_from(
    root: Path, start: Callable[..., Entry], tmp_path: Path
) -> None:
    newer = plums(HISTORY, 5, season=0)
    table = tmp_path / "newer.parquet"
    newer.assign(ripe=newer["ripe"].where(newer.index < 190)).to_parquet(table)
    add_files(root, [table])
    tree = ingest.loop_worktree.fn(root)
    with pytest.raises(TooFewRowsError, match=r"190 labelled rows are newer .* needs 200") as raised:
        ingest.add_labelled_rows.fn(root, tree, start())
    assert "retrain.min_rows" in raised.value.remedy
    assert "min_coverage" not in raised.value.remedy
    newer.assign(plum=newer["plum"] + "x").head(10).to_parquet(table)
    add_files(root, [table])
    ingest.loop_worktree.fn(root)
    assert ingest.add_labelled_rows.fn(root, tree, start()).record.rows == 0


def test_rows_newer_than_the_present_hinder_nothing_and_learn_nobody_the_future(
    root: Path, start: Callable[..., Entry], tmp_path: Path
) -> None:
    serve(root, plums(HISTORY, 10, season=1), labelled=400)
    later = plums(HISTORY + 20, 2, season=1)
    table = tmp_path / "later.parquet"
    later.assign(ripe=None).to_parquet(table)
    add_files(root, [table])
    tree = ingest.loop_worktree.fn(root)
    explicit, found = start(explicit=True), start()
    assert ingest.add_labelled_rows.fn(root, tree, explicit).as_of == AS_OF  # none of them is learnt from
    later.to_parquet(table)
    add_files(root, [table])
    ingest.loop_worktree.fn(root)
    with pytest.raises(DataError, match="would train on its future"):
        ingest.add_labelled_rows.fn(root, tree, explicit)
    added = ingest.add_labelled_rows.fn(root, tree, found)
    assert added.as_of == later["picked"].max() + timedelta(microseconds=1)


def test_an_edit_that_is_not_committed_decides_nothing(
    root: Path, tree: Path, start: Callable[..., Entry]
) -> None:
    serve(root, plums(HISTORY, 10, season=1), labelled=400)
    params = root / "params.yaml"
    params.write_text(
        params.read_text()
        .replace("    heat: number\n", "    weight: number\n")
        .replace("min_rows: 200", "min_rows: 9999")
    )
    assert ingest.add_labelled_rows.fn(root, tree, start()).record.rows == 400
    with pytest.raises(ConflictError, match=r"Commit params\.yaml"):
        ingest.add_tables.fn(root, tree)
    Tree(root).commit_paths(["params.yaml"], "Ask for more")
    ingest.loop_worktree.fn(root)
    with pytest.raises(DataError, match="weight"):
        ingest.add_labelled_rows.fn(root, tree, start())


def test_who_names_the_time_of_a_retraining_is_kept_to_it(root: Path) -> None:
    assert retrain.claim.fn(root, AS_OF, None).record.explicit_as_of
    assert not retrain.claim.fn(root, None, None).record.explicit_as_of
