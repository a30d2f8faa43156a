"""Ingest: new rows into the lake, each change a version that git knows."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, POINTERS, RAW
from mlops.data import source
from mlops.data.lake import Appended
from mlops.data.source import Fetched
from mlops.errors import ConflictError, DataError, shown
from mlops.ledger.entry import Entry
from mlops.ledger.outcome import Outcome
from mlops.ledger.records import DataRefused, DataVersioned, IngestedFile, SourcePosition
from mlops.project.context import Project
from mlops.project.ingest_table import Standing, Taken, take
from mlops.project.source_pull import Pull, pull

__all__ = ["Ingested", "add_files", "add_pulled", "leave_to_the_cache", "tables_at", "version"]

_PATIENCE = 3600.0


_NOTHING = "Nothing is new in data.source."


@dataclass(frozen=True)
class Ingested:
    """What came of tables.

    Parameters
    ----------
    version
        The ledger's ``data.versioned``; None where nothing was added.
    """

    outcome: Outcome
    version: Entry[DataVersioned] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether ``data.source`` held nothing new."""
        return self.outcome.text == _NOTHING


def tables_at(word: str, folder: Path) -> list[Path]:
    """Return the tables that a word names: those at an address are fetched into `folder`."""
    if "://" in word:
        from mlops.adapters.sources.remote_files import AddressSource

        return [fetched.file for fetched in AddressSource(word).fetch(None, folder)]
    return source.given(word, Path.cwd())


def add_files(root: Path, files: Sequence[Path]) -> Ingested:
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
    project = Project.at(root)
    with _alone(project):
        return _add(project, root, [Fetched(file, file.name) for file in files])


def add_pulled(root: Path, tree: Path) -> Ingested:
    """Append what is new in ``data.source`` to the lake of a tree and make it one version; all or nothing.

    Raises
    ------
    DataError
        One of the tables cannot be used; it is named.
    ConflictError
        The tree is the loop's, whose params.yaml names other columns than the person's does now.
    """
    project = Project.at(root)
    if project.schema != Project.at(root, tree).schema:
        # What a file of the lake came without stays missing in its rows.
        raise ConflictError(
            f"params.yaml names other columns than that of {Tree(tree).branch()}, whose lake this adds to.",
            remedy="Commit params.yaml, or put it back.",
        )
    with _alone(project):
        pulled = pull(project, tree)
        ingested = _add(project, tree, pulled.tables, pulled)
        pulled.forget()
    return ingested


def _alone(project: Project) -> AbstractContextManager[None]:
    """Hold the one place for an ingestion: a second one waits."""
    return project.hold(
        "ingest",
        patience=_PATIENCE,
        refusal=f"Another ingestion of this project has run for {_PATIENCE / 60:.0f} minutes.",
        remedy="Wait for it, and run the command again.",
    )


def _add(project: Project, tree: Path, tables: Sequence[Fetched], pulled: Pull | None = None) -> Ingested:
    standing = Standing.of(project, tree)
    known = [(table, standing.known(table)) for table in tables]
    # Files of one content are one, whatever they are called.
    fresh = {standing.sha256(table): table for table, entry in reversed(known) if entry is None}
    new = [table for table in tables if fresh.get(standing.sha256(table)) is table]
    # Half a batch that a killed run showed belongs to no other's version; the same command brings all of it.
    for name in standing.lake.halves() - standing.versioned:
        (standing.lake.path / name).unlink()
    if not new and standing.is_recorded:
        return Ingested(_nothing_new(known, pulled))
    with ExitStack() as stack:
        lake = standing.lake
        lake.sweep()
        stagings = [stack.enter_context(lake.staging(number)) for number in range(len(new))]
        taken = [take(standing, table, staging) for table, staging in zip(new, stagings, strict=True)]
        refused = next((each for each in taken if each.refusals), None)
        if refused is not None:
            return Ingested(_refused(project, refused, standing))
        with project.lock("tree"):
            versioned = _publish(standing, taken, pulled)
    if versioned is None or (taken and not versioned.record.rows and not versioned.record.left_out):
        names = shown([table.name for table in new])
        return Ingested(Outcome(f"Nothing new: all rows of {names} are in the lake already."), versioned)
    return Ingested(Outcome(_told(versioned, taken)), versioned)


def _publish(standing: Standing, taken: Sequence[Taken], pulled: Pull | None) -> Entry[DataVersioned] | None:
    """Show what was staged and make it a version; None where the lake's version holds it all."""
    project, tree = standing.project, standing.tree
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
    new = {LAKE: standing.lake.names() - standing.versioned, RAW: _kept(tree) - standing.raw}
    counts = {"quarantined": out} if out else {}
    return version(
        project,
        tree,
        new,
        rows=rows,
        because=because,
        left_out=counts,
        files=tuple(each.file(added) for each, added in zip(taken, done, strict=True)),
        contract=standing.contract_digest,
        source=SourcePosition(pulled.source, pulled.position) if pulled is not None else None,
    )


def _fresh(added: Appended, standing: Standing) -> int:
    """Count the rows that a batch brought, now or before a kill: not those that a clone's commit holds."""
    known = standing.committed - set(added.files)
    return sum(rows for name, rows in added.held.items() if name not in known)


def _nothing_new(
    known: Sequence[tuple[Fetched, Entry[DataVersioned] | None]], pulled: Pull | None
) -> Outcome:
    if pulled is not None or not known:
        return Outcome(_NOTHING)
    table, entry = known[0]
    assert entry is not None  # else it were new
    return Outcome(
        f"Nothing new: {table.name} was ingested on {entry.recorded_at:%Y-%m-%d} "
        f"as version {entry.record.md5[:12]}."
    )


def _refused(project: Project, refused: Taken, standing: Standing) -> Outcome:
    """Record that a table was refused, once for its content and contract."""
    if refused.report.error is not None and standing.contract is None:
        error = refused.report.error
        raise DataError(f"{refused.table.file}: {error.message}", remedy=error.remedy) from error
    recorded = project.ledger.record(
        DataRefused(
            file=refused.table.name,
            sha256=refused.sha256,
            contract=standing.contract_digest,
            reasons=refused.refusals,
        )
    )
    told = f"{recorded.record.sentence} Nothing was added."
    more = f" `mlops data check {refused.table.file}` tells more." if refused.report.refusals else ""
    return Outcome(told + more, refused=True)


def _told(versioned: Entry[DataVersioned], taken: Sequence[Taken]) -> str:
    made = versioned.record
    said = [f"{made.rows:,} rows added; the data is at version {made.md5[:12]}."]
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


def leave_to_the_cache(tree: Path) -> None:
    """Remove from the loop's tree the files as they came: nothing reads them there."""
    shutil.rmtree(tree / RAW, ignore_errors=True)


def version(
    project: Project,
    tree: Path,
    new: Mapping[str, Collection[str]],
    *,
    rows: int,
    because: str,
    as_of: datetime | None = None,
    cause: str | None = None,
    left_out: Mapping[str, int] | None = None,
    files: tuple[IngestedFile, ...] = (),
    contract: str | None = None,
    source: SourcePosition | None = None,
) -> Entry[DataVersioned]:
    """Make what is new in the lake, and in what is kept as it came, a version of the tree."""
    data = DvcTree(tree)
    version = data.add(LAKE, new=sorted(new[LAKE]))
    kept = data.add(RAW, new=sorted(new[RAW])) if new.get(RAW) else data.version(RAW)
    commit = Tree(tree).commit_paths([path for path in POINTERS if (tree / path).exists()], because)
    if tree != project.folder.root:
        leave_to_the_cache(tree)
    return project.ledger.record(
        DataVersioned(
            rows=rows,
            md5=version.md5,
            raw=kept.md5 if kept else None,
            commit=commit,
            left_out=left_out or {},
            files=files,
            contract=contract,
            source=source,
        ),
        cause=cause,
        as_of=as_of,
    )


def _kept(tree: Path) -> frozenset[str]:
    folder = tree / RAW
    return frozenset(str(file.relative_to(folder)) for file in folder.glob("*/*") if file.is_file())
