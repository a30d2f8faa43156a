"""Data in: new rows into the lake, each change a version that git knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from mlops import labels, prediction_log, source
from mlops.adapters.dvc import LAKE, DvcTree
from mlops.adapters.git import Tree, loop_tree
from mlops.dataset import Appended, Lake
from mlops.errors import DataError, TooFewRowsError
from mlops.ledger import Entry
from mlops.orchestration.loop import Loop
from mlops.orchestration.step import step
from mlops.retrain import honest_rows

__all__ = ["LAKE", "add_file", "add_labelled_rows", "loop_worktree"]

_POINTERS = [f"{LAKE}.dvc", "data/.gitignore"]


@step(name="add the file to the lake")
def add_file(root: Path, file: Path) -> Entry:
    """Append a table to the person's lake and make it a version on their branch.

    Returns
    -------
    The ledger's ``data.versioned``: rows added, the version's md5, the commit of its pointer.
    A file that adds nothing is recorded with 0 rows.
    """
    loop = Loop.at(root)
    frame = source.read_table(file)
    with loop.lock("tree"):
        added = Lake(root / LAKE).append(frame, loop.schema)
        return _version(loop, root, added=added, because=f"Add {added.rows} rows from {file.name}")


@step(name="bring the loop's work tree up to date")
def loop_worktree(root: Path) -> Path:
    """Return the work tree of the branch mlops/loop, with what the person committed since."""
    loop = Loop.at(root)
    with loop.lock("tree"):
        tree = loop_tree(root, loop.project.worktree)
        data = DvcTree(tree.root)
        data.share_cache(DvcTree(root))
        tree.sync(root, merge={f"{LAKE}.dvc": data.union})
        data.checkout(LAKE)
    return tree.root


@step(name="add served rows with their labels to the lake")
def add_labelled_rows(root: Path, tree: Path, started: Entry) -> Entry:
    """Append to the loop's lake what was served and has its label by the retraining's `as_of`.

    Raises
    ------
    DataError
        The lake holds rows later than the retraining's `as_of`.
    TooFewRowsError
        Fewer new labelled rows than ``retrain.min_rows``, or too small a share of the rows
        has its label to be an honest sample.
    """
    loop = Loop.at(root)
    params = loop.params
    as_of, maturity = _as_of(started), params.monitor.label_maturity
    served = prediction_log.read(
        loop.project.predictions, loop.schema, start=_not_before(loop, maturity), end=as_of
    )
    joined = labels.join(served, labels.read(loop.project.labels), loop.schema)
    lake = Lake(tree / LAKE)
    held = lake.read(loop.schema)
    _check_no_future(loop, held, as_of)
    honest = honest_rows(held, joined, loop.schema, as_of=as_of, maturity=params.monitor.label_maturity)
    # What an attempt that was killed has added already is new to the champion all the same.
    new = honest.labelled + _unknown_to_champion(loop, held)
    if new < params.retrain.min_rows or honest.coverage < params.monitor.min_coverage:
        raise TooFewRowsError(
            f"{new:,} rows with their label are new to the champion, {honest.coverage:.0%} of those served "
            f"and old enough have one; retraining needs {params.retrain.min_rows:,} and "
            f"{params.monitor.min_coverage:.0%}.",
            remedy="Add labels with `mlops labels add FILE`, or lower retrain.min_rows.",
        )
    with loop.lock("tree"):
        added = lake.append(honest.new_rows, loop.schema)
        message = f"Add {added.rows} served rows with their labels, as of {as_of:%Y-%m-%d}"
        return _version(
            loop,
            tree,
            added=added,
            because=message,
            as_of=as_of,
            cause=started.id,
            counts={"unlabelled": honest.unlabelled, "immature": honest.immature},
        )


def _as_of(started: Entry) -> datetime:
    assert started.as_of is not None  # claim() sees to it
    return started.as_of


def _not_before(loop: Loop, maturity: timedelta) -> datetime | None:
    """Return from when on served rows may be new to the lake; without keys nothing else tells."""
    if loop.schema.key is not None:
        return None
    earlier = [entry.as_of for entry in loop.ledger.entries("data.versioned") if entry.as_of is not None]
    return max(earlier) - maturity if earlier else None


def _check_no_future(loop: Loop, lake: pd.DataFrame, as_of: datetime) -> None:
    time = loop.schema.time
    if time is not None and lake[time].max() >= pd.Timestamp(as_of):
        raise DataError(
            f"The lake holds rows up to {lake[time].max():%Y-%m-%d %H:%M}: a retraining as of "
            f"{as_of:%Y-%m-%d %H:%M} would learn from its future.",
            remedy="Pass a later --as-of.",
        )


def _unknown_to_champion(loop: Loop, lake: pd.DataFrame) -> int:
    """Count the lake's rows that came after those the champion was fitted and chosen on."""
    champion, time = loop.champion, loop.schema.time
    if champion is None:
        return len(lake)
    if time is not None:
        return int((lake[time] >= pd.Timestamp(champion.body["gate_end"])).sum())
    lineage = loop.bundle_of(champion).lineage
    return max(0, len(lake) - int(lineage["train"]["rows"] + lineage["holdout"]["rows"]))


def _version(
    loop: Loop,
    root: Path,
    *,
    added: Appended,
    because: str,
    as_of: datetime | None = None,
    cause: str | None = None,
    counts: Mapping[str, int] | None = None,
) -> Entry:
    version = DvcTree(root).add(LAKE, new=added.files)
    commit = Tree(root).commit_paths([path for path in _POINTERS if (root / path).exists()], because)
    return loop.ledger.record(
        "data.versioned",
        cause=cause,
        as_of=as_of,
        rows=added.rows,
        md5=version.md5,
        commit=commit,
        left_out=dict(counts or {}),
    )
