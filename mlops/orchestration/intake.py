"""Data in: new rows into the lake, each change a version that git knows."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from mlops import labels, prediction_log, source
from mlops.adapters.dvc import DvcTree
from mlops.adapters.git import Tree
from mlops.adapters.git_loop import loop_tree
from mlops.errors import ConflictError, DataError, UsageError, shown
from mlops.lake import Appended, Lake
from mlops.layout import LAKE, LOOP_BRANCH, POINTERS, POSITIONS, RAW, TRAINING_OUTPUTS
from mlops.ledger import Entry
from mlops.orchestration import artifacts, retraining, run
from mlops.orchestration.loop import Loop
from mlops.orchestration.pulling import Pull, join_positions, pull
from mlops.orchestration.sharing import push
from mlops.orchestration.step import step
from mlops.orchestration.taking import Standing, Taken, take
from mlops.outcome import Outcome
from mlops.retrain import check_enough, honest_rows
from mlops.source import Fetched

__all__ = [
    "add_file",
    "add_files",
    "add_labelled_rows",
    "add_source",
    "add_tables",
    "loop_worktree",
]

_PATIENCE = 3600.0
_NOTHING = "Nothing is new in data.source."


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
        found = [_tables(word, Path(folder, str(number))) for number, word in enumerate((file, *more))]
        return add_files(root, [table for tables in found for table in tables])


def _tables(word: str, folder: Path) -> list[Path]:
    if "://" in word:
        from mlops.adapters.fsspec import AddressSource

        return [fetched.file for fetched in AddressSource(word).fetch(None, folder)]
    return source.given(word, Path.cwd())


def add_files(root: Path, files: Sequence[Path]) -> Outcome:
    """Append tables to the person's lake and make them one version on their branch; all or nothing.

    Returns
    -------
    What was done, or why it was refused. A version is the ledger's ``data.versioned``, a refusal its
    ``data.refused``; the same file again adds nothing, and leaves no row.

    Raises
    ------
    DataError
        A file cannot be read, or, where there is no contract, a value cannot be used.
    """
    loop = Loop.at(root)
    with _alone(loop):
        outcome = _add(loop, root, [Fetched(file, file.name) for file in files])
    if not outcome.refused:
        _push(loop, root)  # where nothing is new, too: an earlier push may have failed
    return outcome


def add_source(root: Path) -> Outcome:
    """Append what is new in ``data.source``.

    For a person to their lake and branch, as `add_file` does. Where nobody asked, to the loop's
    own: the next retraining learns from it, and the person's tree is not touched.

    Raises
    ------
    UsageError
        params.yaml names no source, or one that is not there.
    """
    if Loop.at(root).params.data.source is None:
        raise UsageError(
            "There is no table to add: no FILE was given, and params.yaml names no data.source.",
            remedy="Run `mlops ingest FILE`, or name a file, folder or pattern in data.source.",
        )
    if not run.unattended():
        return add_tables(root, root)
    with retraining.alone(root):
        return add_tables(root, loop_worktree(root))


@step(name="add the tables of data.source to the lake")
def add_tables(root: Path, tree: Path) -> Outcome:
    """Append what is new in ``data.source`` to the lake of a tree and make it one version; all or nothing.

    Raises
    ------
    DataError
        One of the tables cannot be used; it is named.
    ConflictError
        The tree is the loop's, whose params.yaml names other columns than the person's does now.
    """
    loop = Loop.at(root)
    if loop.schema != Loop.at(root, tree).schema:
        # What a file of the lake came without stays missing in its rows.
        raise ConflictError(
            f"params.yaml names other columns than that of {Tree(tree).branch()}, whose lake this adds to.",
            remedy="Commit params.yaml, or put it back.",
        )
    with _alone(loop):
        pulled = pull(loop, tree)
        outcome = _add(loop, tree, pulled.tables, pulled)
        pulled.forget()
    if outcome.text != _NOTHING and not outcome.refused:
        _push(loop, tree)
    return outcome


@step(name="bring the loop's work tree up to date")
def loop_worktree(root: Path) -> Path:
    """Return the work tree of the branch mlops/loop, with what the person committed since."""
    loop = Loop.at(root)
    with loop.lock("tree"):
        tree = loop_tree(root, loop.project.worktree, LOOP_BRANCH)
        data = DvcTree(tree.root)
        data.share_cache(DvcTree(root))
        tree.sync(
            root,
            own=TRAINING_OUTPUTS,
            merge={
                f"{LAKE}.dvc": data.union,
                f"{RAW}.dvc": partial(data.union, path=RAW, on_disk=False),
                POSITIONS: partial(join_positions, tree.root),
            },
        )
        _leave_to_the_cache(tree.root)
        if data.version() is not None:
            data.checkout(LAKE)
    return tree.root


@step(name="add served rows with their labels to the lake")
def add_labelled_rows(root: Path, tree: Path, started: Entry) -> Entry:
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
    loop = Loop.at(root, tree)
    params, maturity = loop.params, loop.params.monitor.label_maturity
    lake = Lake(tree / LAKE, params.data.on_duplicate)
    held = lake.read(loop.schema)
    as_of = _present(loop, held, started)
    served = prediction_log.read(
        loop.project.predictions, loop.schema, start=_not_before(loop, maturity), end=as_of
    )
    joined = labels.join(served, labels.read(loop.project.labels), loop.schema)
    since = _chosen_until(loop, maturity)
    honest = honest_rows(held, joined, loop.schema, as_of=as_of, maturity=maturity, since=since)
    # What an attempt that was killed has added already is new to the champion all the same.
    check_enough(
        honest,
        _unknown_to_champion(loop, held, honest.new_rows),
        min_rows=params.retrain.min_rows,
        min_coverage=params.monitor.min_coverage,
    )
    with loop.lock("tree"):
        added = lake.append(honest.new_rows, loop.schema)
        return _version(
            loop,
            tree,
            {LAKE: added.files},
            rows=added.rows,
            because=f"Add {added.rows} served rows with their labels, as of {as_of:%Y-%m-%d}",
            as_of=as_of,
            cause=started.id,
            counts={"unlabelled": honest.unlabelled, "immature": honest.immature},
        )


def _alone(loop: Loop) -> AbstractContextManager[None]:
    """Hold the one place for an ingestion: a second one waits."""
    return loop.hold(
        "ingest",
        patience=_PATIENCE,
        refusal=f"Another ingestion of this project has run for {_PATIENCE / 60:.0f} minutes.",
        remedy="Wait for it, and do it again.",
    )


def _add(loop: Loop, tree: Path, tables: Sequence[Fetched], pulled: Pull | None = None) -> Outcome:
    standing = Standing.of(loop, tree)
    known = [(table, standing.known(table)) for table in tables]
    # Files of one content are one, whatever they are called.
    fresh = {standing.sha256(table): table for table, entry in reversed(known) if entry is None}
    new = [table for table in tables if fresh.get(standing.sha256(table)) is table]
    # Half a batch that a killed run showed belongs to no other's version; the same command brings all of it.
    for name in standing.lake.halves() - standing.versioned:
        (standing.lake.path / name).unlink()
    if not new and standing.is_recorded:
        return _nothing_new(known, pulled)
    with ExitStack() as stack:
        lake = standing.lake
        lake.sweep()
        stagings = [stack.enter_context(lake.staging(number)) for number in range(len(new))]
        taken = [take(standing, table, staging) for table, staging in zip(new, stagings, strict=True)]
        refused = next((each for each in taken if each.refusals), None)
        if refused is not None:
            return _refused(loop, refused, standing)
        with loop.lock("tree"):
            versioned = _publish(standing, taken, pulled)
    if versioned is None or (taken and not versioned.body["rows"] and not versioned.body["left_out"]):
        names = shown([table.name for table in new])
        return Outcome(f"Nothing new: all rows of {names} are in the lake already.")
    return Outcome(_told(versioned, taken))


def _publish(standing: Standing, taken: Sequence[Taken], pulled: Pull | None) -> Entry | None:
    """Show what was staged and make it a version; None where the lake's version holds it all."""
    loop, tree = standing.loop, standing.tree
    for each in taken:
        each.keep_raw()
    if pulled is not None:
        pulled.intend()
    standing.lake.mean(each.staging for each in taken)
    done = [each.publish() for each in taken]
    # A killed run may have versioned them and not told the ledger.
    fresh = standing.lake.names() - (standing.versioned if standing.is_told else frozenset())
    out = sum(each.report.bad for each in taken)
    if not fresh and not out and (pulled is None or pulled.position is None):
        return None
    for each, added in zip(taken, done, strict=True):
        each.settle(added)
    if pulled is not None:
        pulled.keep_position(tree)
    rows = sum(_fresh(added, standing) for added in done)
    names = shown([each.table.name for each in taken])
    because = f"Add {rows} rows from {names}" if taken else "Keep what a killed run added"
    facts: dict[str, Any] = {
        "files": [each.facts(added) for each, added in zip(taken, done, strict=True)],
        "contract": standing.contract_digest,
    }
    if pulled is not None:
        facts["source"] = {"name": pulled.source, "position": pulled.position}
    new = {LAKE: standing.lake.names() - standing.versioned, RAW: _kept(tree) - standing.raw}
    counts = {"quarantined": out} if out else {}
    return _version(loop, tree, new, rows=rows, because=because, counts=counts, facts=facts)


def _fresh(added: Appended, standing: Standing) -> int:
    """Count the rows that a batch brought, now or before a kill: not those that a clone's commit holds."""
    known = standing.committed - set(added.files)
    return sum(rows for name, rows in added.held.items() if name not in known)


def _nothing_new(known: Sequence[tuple[Fetched, Entry | None]], pulled: Pull | None) -> Outcome:
    if pulled is not None or not known:
        return Outcome(_NOTHING)
    table, entry = known[0]
    assert entry is not None  # else it were new
    return Outcome(
        f"Nothing new: {table.name} was ingested on {entry.recorded_at:%Y-%m-%d} "
        f"as version {entry.body['md5'][:12]}."
    )


def _refused(loop: Loop, refused: Taken, standing: Standing) -> Outcome:
    """Record that a table was refused, once for its content and contract."""
    if refused.report.error is not None and standing.contract is None:
        error = refused.report.error
        raise DataError(f"{refused.table.file}: {error.message}", remedy=error.remedy) from error
    reasons = list(refused.refusals)
    loop.ledger.record_once(
        f"refused:{refused.sha256}:{standing.contract_digest}",
        "data.refused",
        file=refused.table.name,
        sha256=refused.sha256,
        reasons=reasons,
    )
    told = f"{refused.table.name} was refused: {' '.join(reasons)} Nothing was added."
    more = f" `mlops data check {refused.table.file}` tells more." if refused.report.refusals else ""
    return Outcome(told + more, refused=True)


def _told(versioned: Entry, taken: Sequence[Taken]) -> str:
    body = versioned.body
    said = [f"{body['rows']:,} rows added; the data is at version {body['md5'][:12]}."]
    for each in taken:
        report = each.report
        said += [f"{note}." for note in report.notes]
        if report.bad:
            why = shown(
                [f"{reason.column} is {reason.rule} ({reason.rows:,})" for reason in report.reasons], 3
            )
            where = f"of {report.name} {'is' if report.bad == 1 else 'are'} in {each.quarantined}"
            said.append(f"{report.bad:,} row{'' if report.bad == 1 else 's'} {where}: {why}.")
    return " ".join(said)


def _push(loop: Loop, tree: Path) -> None:
    held = [path for path in (LAKE, RAW) if (tree / f"{path}.dvc").is_file()]
    if held:
        push(loop.project.root, tree, *held)


def _leave_to_the_cache(tree: Path) -> None:
    """Remove from the loop's tree the files as they came: nothing reads them there."""
    shutil.rmtree(tree / RAW, ignore_errors=True)


def _not_before(loop: Loop, maturity: timedelta) -> datetime | None:
    """Return from when on served rows may be new to the lake; without keys nothing else tells."""
    if loop.schema.key is not None:
        return None
    earlier = [entry.as_of for entry in loop.ledger.entries("data.versioned") if entry.as_of is not None]
    return max(earlier) - maturity if earlier else None


def _present(loop: Loop, lake: pd.DataFrame, started: Entry) -> datetime:
    """Return the present of a retraining: its `as_of`, or later where labels in the lake tell so.

    An `as_of` that a person asked for is kept to.
    """
    as_of, time = started.as_of, loop.schema.time
    assert as_of is not None  # claim() sees to it
    newest = lake.loc[lake[loop.schema.target].notna(), time].max() if time else pd.NaT
    if pd.isna(newest) or newest < pd.Timestamp(as_of):
        return as_of
    if started.body["asked"]:
        raise DataError(
            f"The lake holds labelled rows up to {newest:%Y-%m-%d %H:%M}: a retraining as of "
            f"{as_of:%Y-%m-%d %H:%M} would learn from its future.",
            remedy="Pass a later --as-of, or none.",
        )
    # As where tables with labels come on a schedule and little is served.
    after: datetime = newest.to_pydatetime() + timedelta(microseconds=1)
    return max(as_of, min(after, datetime.now(UTC)))


def _chosen_until(loop: Loop, maturity: timedelta) -> datetime | None:
    """Return the end of the rows that the champion was chosen on; None where nothing tells it."""
    champion = loop.champion
    if champion is None:
        return None
    if loop.schema.time is not None and champion.body["gate_end"]:
        return datetime.fromisoformat(champion.body["gate_end"])
    return champion.as_of - maturity if champion.as_of else None


def _unknown_to_champion(loop: Loop, *tables: pd.DataFrame) -> int:
    """Count the labelled rows that came after those the champion was fitted and chosen on."""
    champion, time = loop.champion, loop.schema.time
    labelled = [rows[rows[loop.schema.target].notna()] for rows in tables]
    count = sum(map(len, labelled))
    if champion is None:
        return count
    if time is not None and champion.body["gate_end"]:
        end = pd.Timestamp(champion.body["gate_end"])
        return sum(int((rows[time] >= end).sum()) for rows in labelled)
    lineage = loop.bundle_of(champion).lineage
    return max(0, count - int(lineage["train"]["rows"] + lineage["holdout"]["rows"]))


def _version(
    loop: Loop,
    tree: Path,
    new: Mapping[str, Collection[str]],
    *,
    rows: int,
    because: str,
    as_of: datetime | None = None,
    cause: str | None = None,
    counts: Mapping[str, int] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Entry:
    """Make what is new in the lake, and in what is kept as it came, a version of the tree."""
    data = DvcTree(tree)
    version = data.add(LAKE, new=sorted(new[LAKE]))
    kept = data.add(RAW, new=sorted(new[RAW])) if new.get(RAW) else data.version(RAW)
    commit = Tree(tree).commit_paths([path for path in POINTERS if (tree / path).exists()], because)
    if tree != loop.project.root:
        _leave_to_the_cache(tree)
    versioned = loop.ledger.record(
        "data.versioned",
        cause=cause,
        as_of=as_of,
        rows=rows,
        md5=version.md5,
        raw=kept and kept.md5,
        commit=commit,
        left_out=dict(counts or {}),
        **(facts or {}),
    )
    artifacts.publish(f"{loop.params.data.name}-data", lambda: artifacts.data(versioned), description=because)
    return versioned


def _kept(tree: Path) -> frozenset[str]:
    folder = tree / RAW
    return frozenset(str(file.relative_to(folder)) for file in folder.glob("*/*") if file.is_file())
