"""Tasks that add rows to the lake, each change a version of the data that git tracks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.loop_branch import loop_tree
from mlops.config.paths import LAKE, LOOP_BRANCH, POSITIONS, RAW, TRAINING_OUTPUTS
from mlops.data.lake import Lake
from mlops.errors import DataError, UsageError
from mlops.ledger.entry import Entry
from mlops.ledger.outcome import Outcome
from mlops.ledger.records import DataVersioned, GateJudged, RetrainStarted
from mlops.moments import after
from mlops.monitoring.retraining import check_enough, count_new, rejected_until, trainable_rows
from mlops.orchestration import artifacts, flow_run
from mlops.orchestration.task import step
from mlops.orchestration.tasks import retrain
from mlops.orchestration.tasks.push import push
from mlops.prediction_log import label_log, reader
from mlops.project.context import Project
from mlops.project.ingest import Ingested, add_files, add_pulled, remove_raw, version
from mlops.project.source_pull import merge_positions
from mlops.project.table_argument import resolve_tables

__all__ = [
    "add_file",
    "add_labelled_rows",
    "add_source",
    "add_tables",
    "loop_worktree",
]


@step(name="add the file to the lake")
def add_file(root: Path, file: str, more: Sequence[str] = ()) -> Outcome:
    """Append tables to the person's lake, see `mlops.project.ingest.add_files`.

    Parameters
    ----------
    file, more
        Each a file, a folder, a pattern, or an address that fsspec reaches.

    Raises
    ------
    UsageError
        One of them does not exist.
    """
    with TemporaryDirectory(prefix="mlops-") as folder:
        tables = [
            table
            for number, pattern in enumerate((file, *more))
            for table in resolve_tables(pattern, Path(folder, str(number)), env=root / ".env")
        ]
        ingested = add_files(root, tables)
        # Pushed even if nothing is new: an earlier push may have failed.
        return _publish_and_push(root, root, ingested)


def add_source(root: Path) -> Outcome:
    """Append what is new in ``data.source``.

    A command appends to the person's lake and branch, as `add_file` does. A run that Prefect starts
    appends to the loop's: the next retraining trains on it, and the person's tree is not touched.

    Raises
    ------
    UsageError
        params.yaml names no source, or one that does not exist.
    """
    if Project.at(root).params.data.source is None:
        raise UsageError(
            "Nothing to ingest: no FILE was given, and params.yaml has no data.source.",
            remedy="Run `mlops ingest FILE`, or name a file, folder or pattern in data.source.",
        )
    if not flow_run.unattended():
        return add_tables(root, root)
    with retrain.exclusive(root):
        return add_tables(root, loop_worktree(root))


@step(name="add the tables of data.source to the lake")
def add_tables(root: Path, tree: Path) -> Outcome:
    """Append what is new in ``data.source`` to the lake of a tree, see `mlops.project.ingest.add_pulled`."""
    return _publish_and_push(root, tree, add_pulled(root, tree))


@step(name="bring the loop's work tree up to date")
def loop_worktree(root: Path) -> Path:
    """Return the work tree of the branch mlops/loop, with the person's newer commits merged."""
    project = Project.at(root)
    with project.lock("tree"):
        tree = loop_tree(root, project.folder.worktree, LOOP_BRANCH)
        data = DvcTree(tree.root)
        data.share_cache(DvcTree(root))
        tree.sync(
            root,
            ours=TRAINING_OUTPUTS,
            merge={
                f"{LAKE}.dvc": data.union,
                f"{RAW}.dvc": partial(data.union, path=RAW, on_disk=False),
                POSITIONS: partial(merge_positions, tree.root),
            },
        )
        remove_raw(tree.root)
        if data.version() is not None:
            data.checkout(LAKE)
    return tree.root


@step(name="add served rows with their labels to the lake")
def add_labelled_rows(root: Path, tree: Path, started: Entry[RetrainStarted]) -> Entry[DataVersioned]:
    """Append served rows to the loop's lake that have their label by the retraining's `as_of`.

    The tree's params.yaml applies, as for the stages and the gate: the person may be editing theirs.

    Raises
    ------
    DataError
        The lake has labelled rows later than the requested `as_of`.
    TooFewRowsError
        Fewer new labelled rows than ``retrain.min_rows``, or too small a share of the rows
        served since has its label to be an unbiased sample.
    """
    project = Project.at(root, tree)
    params, maturity = project.params, project.params.monitor.label_maturity
    lake = Lake(tree / LAKE, params.data.on_duplicate)
    lake_rows = lake.read(project.schema)
    as_of = _resolve_as_of(project, lake_rows, started)
    served = reader.read(
        project.folder.predictions, project.schema, start=_not_before(project, maturity), end=as_of
    )
    joined = label_log.join(served, label_log.read(project.folder.labels), project.schema)
    since, rejected = _fitted_until(project, maturity), _rejected_until(project, started)
    trainable = trainable_rows(lake_rows, joined, project.schema, as_of=as_of, maturity=maturity, since=since)
    # Rows that a killed attempt already added are new to the champion all the same.
    check_enough(
        trainable,
        _count_new(project, rejected, lake_rows, trainable.new_rows),
        rejected=rejected is not None,
        min_rows=params.retrain.min_rows,
        min_coverage=params.monitor.min_coverage,
    )
    with project.lock("tree"):
        added = lake.append(trainable.new_rows, project.schema)
        versioned = version(
            project,
            tree,
            {LAKE: added.files},
            rows=added.rows,
            because=f"Add {added.rows} served rows with their labels, as of {as_of:%Y-%m-%d}",
            as_of=as_of,
            cause=started.id,
            left_out={"unlabelled": trainable.unlabelled, "immature": trainable.immature},
        )
    _publish(project, versioned)
    return versioned


def _publish_and_push(root: Path, tree: Path, ingested: Ingested) -> Outcome:
    """Publish and push what was ingested."""
    project = Project.at(root)
    if ingested.version is not None:
        _publish(project, ingested.version)
    paths = [path for path in (LAKE, RAW) if (tree / f"{path}.dvc").is_file()]
    if paths and not ingested.outcome.refused and not ingested.is_idle:
        push(project.folder.root, tree, *paths)
    return ingested.outcome


def _publish(project: Project, versioned: Entry[DataVersioned]) -> None:
    sentence = f"Add {versioned.record.rows:,} rows"
    artifacts.publish(
        f"{project.params.data.name}-data", lambda: artifacts.data(versioned.record), description=sentence
    )


def _not_before(project: Project, maturity: timedelta) -> datetime | None:
    """Return the time from which served rows may be new to the lake; without a key, only time tells."""
    if project.schema.key is not None:
        return None
    earlier = [entry.as_of for entry in project.ledger.entries(DataVersioned) if entry.as_of is not None]
    return max(earlier) - maturity if earlier else None


def _resolve_as_of(project: Project, lake: pd.DataFrame, started: Entry[RetrainStarted]) -> datetime:
    """Return the time of a retraining: its `as_of`, or later if the lake has later labelled rows.

    An `as_of` that a person requested is not changed.
    """
    as_of, time = started.as_of, project.schema.time
    assert as_of is not None  # claim() sets it
    newest = lake.loc[lake[project.schema.target].notna(), time].max() if time else pd.NaT
    if pd.isna(newest) or newest < pd.Timestamp(as_of):
        return as_of
    if started.record.explicit_as_of:
        raise DataError(
            f"The lake has labelled rows up to {newest:%Y-%m-%d %H:%M}: a retraining as of "
            f"{as_of:%Y-%m-%d %H:%M} would train on its future.",
            remedy="Pass a later --as-of, or none.",
        )
    # For example where labelled tables are ingested on a schedule and little is served.
    return max(as_of, min(after(newest.to_pydatetime()), datetime.now(UTC)))


def _fitted_until(project: Project, maturity: timedelta) -> datetime | None:
    """Return the end of the rows that the champion was fitted on; None if it is not known."""
    champion = project.promotion
    if champion is None:
        return None
    if project.schema.time is not None and champion.record.fitted_until:
        return champion.record.fitted_until
    return champion.as_of - maturity if champion.as_of else None


def _rejected_until(project: Project, started: Entry[RetrainStarted]) -> datetime | None:
    """Return the end of the rows on which a retraining for the champion's place was rejected."""
    champion = project.promotion
    if champion is None or started.cause is None:
        return None
    return rejected_until((entry.record for entry in project.ledger.entries(GateJudged)), champion.id)


def _count_new(project: Project, rejected: datetime | None, *tables: pd.DataFrame) -> int:
    """Count the labelled rows later than those that the champion was fitted on, or a rejection judged."""
    champion, schema = project.promotion, project.schema
    if champion is not None and schema.time is not None and champion.record.fitted_until:
        return count_new(tables, schema, since=champion.record.fitted_until, rejected=rejected)
    count = sum(int(rows[schema.target].notna().sum()) for rows in tables)
    if champion is None:
        return count
    return max(0, count - int(project.bundle_of(champion).lineage["train"]["rows"]))
