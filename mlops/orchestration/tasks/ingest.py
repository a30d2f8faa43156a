"""Data in: new rows into the lake, each change a version that git knows."""

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
from mlops.ledger.records import DataVersioned, RetrainStarted
from mlops.monitoring.retraining import check_enough, honest_rows
from mlops.orchestration import artifacts, flow_run
from mlops.orchestration.task import step
from mlops.orchestration.tasks import retrain
from mlops.orchestration.tasks.push import push
from mlops.prediction_log import label_log, reader
from mlops.project.context import Project
from mlops.project.ingest import Ingested, add_files, add_pulled, remove_raw, resolve_tables, version
from mlops.project.source_pull import merge_positions

__all__ = [
    "add_file",
    "add_labelled_rows",
    "add_source",
    "add_tables",
    "loop_worktree",
]


@step(name="add the file to the lake")
def add_file(root: Path, file: str, more: Sequence[str] = ()) -> Outcome:
    """Append tables to the person's lake, see `add_files`.

    Parameters
    ----------
    file, more
        Each a file, a folder, a pattern, or an address that fsspec reaches.

    Raises
    ------
    UsageError
        One of them is not there.
    """
    with TemporaryDirectory(prefix="mlops-") as folder:
        found = [resolve_tables(word, Path(folder, str(number))) for number, word in enumerate((file, *more))]
        ingested = add_files(root, [table for tables in found for table in tables])
        # Where nothing is new, too: an earlier push may have failed.
        return _tell(root, root, ingested)


def add_source(root: Path) -> Outcome:
    """Append what is new in ``data.source``.

    For a person to their lake and branch, as `add_file` does. Where nobody asked, to the loop's
    own: the next retraining learns from it, and the person's tree is not touched.

    Raises
    ------
    UsageError
        params.yaml names no source, or one that is not there.
    """
    if Project.at(root).params.data.source is None:
        raise UsageError(
            "There is no table to add: no FILE was given, and params.yaml names no data.source.",
            remedy="Run `mlops ingest FILE`, or name a file, folder or pattern in data.source.",
        )
    if not flow_run.unattended():
        return add_tables(root, root)
    with retrain.alone(root):
        return add_tables(root, loop_worktree(root))


@step(name="add the tables of data.source to the lake")
def add_tables(root: Path, tree: Path) -> Outcome:
    """Append what is new in ``data.source`` to the lake of a tree, see `mlops.project.ingest.add_pulled`."""
    return _tell(root, tree, add_pulled(root, tree))


@step(name="bring the loop's work tree up to date")
def loop_worktree(root: Path) -> Path:
    """Return the work tree of the branch mlops/loop, with what the person committed since."""
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
    """Append to the loop's lake what was served and has its label by the retraining's `as_of`.

    As the tree's params.yaml has it, which the stages and the gate go by too: the person's may be
    in the middle of an edit.

    Raises
    ------
    DataError
        The lake holds labelled rows later than the `as_of` that was asked for.
    TooFewRowsError
        Fewer new labelled rows than ``retrain.min_rows``, or too small a share of the rows
        served since has its label to be an honest sample.
    """
    project = Project.at(root, tree)
    params, maturity = project.params, project.params.monitor.label_maturity
    lake = Lake(tree / LAKE, params.data.on_duplicate)
    held = lake.read(project.schema)
    as_of = _present(project, held, started)
    served = reader.read(
        project.folder.predictions, project.schema, start=_not_before(project, maturity), end=as_of
    )
    joined = label_log.join(served, label_log.read(project.folder.labels), project.schema)
    since = _chosen_until(project, maturity)
    honest = honest_rows(held, joined, project.schema, as_of=as_of, maturity=maturity, since=since)
    # What an attempt that was killed has added already is new to the champion all the same.
    check_enough(
        honest,
        _unknown_to_champion(project, held, honest.new_rows),
        min_rows=params.retrain.min_rows,
        min_coverage=params.monitor.min_coverage,
    )
    with project.lock("tree"):
        added = lake.append(honest.new_rows, project.schema)
        versioned = version(
            project,
            tree,
            {LAKE: added.files},
            rows=added.rows,
            because=f"Add {added.rows} served rows with their labels, as of {as_of:%Y-%m-%d}",
            as_of=as_of,
            cause=started.id,
            left_out={"unlabelled": honest.unlabelled, "immature": honest.immature},
        )
    _publish(project, versioned)
    return versioned


def _tell(root: Path, tree: Path, ingested: Ingested) -> Outcome:
    """Publish and push what was ingested."""
    project = Project.at(root)
    if ingested.version is not None:
        _publish(project, ingested.version)
    held = [path for path in (LAKE, RAW) if (tree / f"{path}.dvc").is_file()]
    if held and not ingested.outcome.refused and not ingested.is_idle:
        push(project.folder.root, tree, *held)
    return ingested.outcome


def _publish(project: Project, versioned: Entry[DataVersioned]) -> None:
    because = f"Add {versioned.record.rows:,} rows"
    artifacts.publish(
        f"{project.params.data.name}-data", lambda: artifacts.data(versioned.record), description=because
    )


def _not_before(project: Project, maturity: timedelta) -> datetime | None:
    """Return from when on served rows may be new to the lake; without keys nothing else tells."""
    if project.schema.key is not None:
        return None
    earlier = [entry.as_of for entry in project.ledger.entries(DataVersioned) if entry.as_of is not None]
    return max(earlier) - maturity if earlier else None


def _present(project: Project, lake: pd.DataFrame, started: Entry[RetrainStarted]) -> datetime:
    """Return the present of a retraining: its `as_of`, or later where labels in the lake tell so.

    An `as_of` that a person asked for is kept to.
    """
    as_of, time = started.as_of, project.schema.time
    assert as_of is not None  # claim() sees to it
    newest = lake.loc[lake[project.schema.target].notna(), time].max() if time else pd.NaT
    if pd.isna(newest) or newest < pd.Timestamp(as_of):
        return as_of
    if started.record.asked:
        raise DataError(
            f"The lake holds labelled rows up to {newest:%Y-%m-%d %H:%M}: a retraining as of "
            f"{as_of:%Y-%m-%d %H:%M} would learn from its future.",
            remedy="Pass a later --as-of, or none.",
        )
    # As where tables with labels come on a schedule and little is served.
    after: datetime = newest.to_pydatetime() + timedelta(microseconds=1)
    return max(as_of, min(after, datetime.now(UTC)))


def _chosen_until(project: Project, maturity: timedelta) -> datetime | None:
    """Return the end of the rows that the champion was chosen on; None where nothing tells it."""
    champion = project.promotion
    if champion is None:
        return None
    if project.schema.time is not None and champion.record.gate_end:
        return champion.record.gate_end
    return champion.as_of - maturity if champion.as_of else None


def _unknown_to_champion(project: Project, *tables: pd.DataFrame) -> int:
    """Count the labelled rows that came after those the champion was fitted and chosen on."""
    champion, time = project.promotion, project.schema.time
    labelled = [rows[rows[project.schema.target].notna()] for rows in tables]
    count = sum(map(len, labelled))
    if champion is None:
        return count
    if time is not None and champion.record.gate_end:
        end = pd.Timestamp(champion.record.gate_end)
        return sum(int((rows[time] >= end).sum()) for rows in labelled)
    lineage = project.bundle_of(champion).lineage
    return max(0, count - int(lineage["train"]["rows"] + lineage["holdout"]["rows"]))
