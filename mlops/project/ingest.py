"""Ingest new rows into the lake; each change is a version of the data, committed to git."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, POINTERS, RAW
from mlops.data.contract import Contract
from mlops.data.lake import Appended
from mlops.data.source import Fetched
from mlops.errors import ConflictError, DataError, shown
from mlops.files import hashing
from mlops.ledger.entry import Entry
from mlops.ledger.outcome import Outcome
from mlops.ledger.records import DataRefused, DataVersioned, IngestedFile, ReturnedRows, SourcePosition
from mlops.project.context import Project
from mlops.project.ingest_table import LakeState, StagedTable, stage_table
from mlops.project.source_pull import Pull, pull

__all__ = ["Ingested", "Returned", "add_files", "add_pulled", "add_returned", "remove_raw", "version"]

_PATIENCE = 3600.0
"""Seconds that an ingestion waits for another one."""
_NOTHING = "Nothing new in data.source."


@dataclass(frozen=True)
class Ingested:
    """The result of an ingestion.

    Parameters
    ----------
    version
        The ledger's ``data.versioned``; None where nothing was added.
    """

    outcome: Outcome
    version: Entry[DataVersioned] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether ``data.source`` had nothing new."""
        return self.outcome.text == _NOTHING


def add_files(root: Path, files: Sequence[Path]) -> Ingested:
    """Append tables to the person's lake as one version, committed to their branch; all or nothing.

    Returns
    -------
    What was added, or why it was rejected. A version is the ledger's ``data.versioned``, a rejection its
    ``data.refused``. The same file again adds nothing and records nothing.

    Raises
    ------
    DataError
        A file cannot be read, or, where there is no contract, a value cannot be used.
    """
    project = Project.at(root)
    with _lock_ingest(project):
        return _add(project, root, [Fetched(file, file.name) for file in files])


@dataclass(frozen=True)
class Returned:
    """Rows that come back from quarantine.

    Parameters
    ----------
    rows
        Which they are.
    contract
        What is asked of each of them; nothing is asked of so few as a batch.
    """

    rows: tuple[ReturnedRows, ...]
    contract: Contract | None

    @property
    def origin(self) -> str:
        """Their names: rows that are alike, and were quarantined twice, are two."""
        return hashing.of_value([asdict(each) for each in self.rows])


def add_returned(root: Path, table: Fetched, returned: Returned) -> Ingested:
    """Append rows that were quarantined to the person's lake; the ledger's version says which they are.

    Killed anywhere, the same call takes in what is missing.
    """
    project = Project.at(root)
    with _lock_ingest(project):
        return _add(project, root, [table], returned=returned)


def add_pulled(root: Path, tree: Path) -> Ingested:
    """Append what is new in ``data.source`` to the lake of a tree as one version; all or nothing.

    Raises
    ------
    DataError
        One of the tables cannot be used; it is named.
    ConflictError
        The tree is the loop's, and its params.yaml names other columns than the person's.
    """
    project = Project.at(root)
    if project.schema != Project.at(root, tree).schema:
        # A column that a file of the lake lacks stays missing in its rows.
        raise ConflictError(
            f"params.yaml here and on the branch {Tree(tree).branch()}, to whose lake the rows are added, "
            "name different columns.",
            remedy="Commit params.yaml, or restore it.",
        )
    with _lock_ingest(project):
        pulled = pull(project, tree)
        ingested = _add(project, tree, pulled.tables, pulled)
        pulled.remove_files()
    return ingested


def _lock_ingest(project: Project) -> AbstractContextManager[None]:
    """Hold the lock of ingestions: a second one waits."""
    return project.hold(
        "ingest",
        patience=_PATIENCE,
        refusal=f"Another ingestion of this project has run for {_PATIENCE / 60:.0f} minutes.",
        remedy="Wait for it, and run the command again.",
    )


def _add(
    project: Project,
    tree: Path,
    tables: Sequence[Fetched],
    pulled: Pull | None = None,
    returned: Returned | None = None,
) -> Ingested:
    state = LakeState.of(project, tree)
    if returned is not None:
        state = replace(state, contract=returned.contract)
    known = [(table, state.known(table)) for table in tables]
    # Files with the same content count once, whatever their names.
    fresh = {state.sha256(table): table for table, entry in reversed(known) if entry is None}
    new = [table for table in tables if fresh.get(state.sha256(table)) is table]
    # Half a batch that a killed run published must not enter another's version: its command adds it whole.
    for name in state.lake.incomplete_files() - state.versioned:
        (state.lake.path / name).unlink()
    if not new and state.is_recorded:
        return Ingested(_nothing_new(known, pulled))
    with ExitStack() as stack:
        lake = state.lake
        lake.sweep()
        origin = returned.origin if returned else ""
        stagings = [stack.enter_context(lake.staging(number, origin=origin)) for number in range(len(new))]
        staged = [stage_table(state, table, staging) for table, staging in zip(new, stagings, strict=True)]
        refused = next((each for each in staged if each.refusals), None)
        if refused is not None:
            return Ingested(_refused(project, refused, state))
        with project.lock("tree"):
            versioned = _publish(state, staged, pulled, returned.rows if returned else ())
    if versioned is None or (staged and not versioned.record.rows and not versioned.record.left_out):
        names = shown([table.name for table in new])
        return Ingested(Outcome(f"Nothing new: all rows of {names} are already in the lake."), versioned)
    return Ingested(Outcome(_describe(versioned, staged)), versioned)


def _publish(
    state: LakeState, staged: Sequence[StagedTable], pulled: Pull | None, returned: tuple[ReturnedRows, ...]
) -> Entry[DataVersioned] | None:
    """Publish what was staged and make it a version; None if the lake's version already has all of it."""
    project, tree = state.project, state.tree
    for each in staged:
        each.stage_raw()
    if pulled is not None:
        pulled.write_intent()
    state.lake.declare_intent(each.staging for each in staged)
    done = [each.publish() for each in staged]
    # A killed run may have versioned them before it recorded that in the ledger.
    fresh = state.lake.names() - (state.versioned if state.has_recorded_version else frozenset())
    quarantined = sum(each.report.bad for each in staged)
    if not fresh and not quarantined and not returned and (pulled is None or pulled.position is None):
        return None
    for each, added in zip(staged, done, strict=True):
        each.publish_files(added)
    if pulled is not None:
        pulled.write_position(tree)
    rows = sum(_count_new_rows(added, state) for added in done)
    names = shown([each.table.name for each in staged])
    because = f"Add {rows} rows from {names}" if staged else "Version what a killed run added"
    new = {LAKE: state.lake.names() - state.versioned, RAW: _raw_files(tree) - state.raw}
    counts = {"quarantined": quarantined} if quarantined else {}
    return version(
        project,
        tree,
        new,
        rows=rows,
        because=because,
        left_out=counts,
        files=tuple(
            replace(each.file(added), returned=returned) for each, added in zip(staged, done, strict=True)
        ),
        contract=state.contract_digest,
        source=SourcePosition(pulled.source, pulled.position) if pulled is not None else None,
    )


def _count_new_rows(added: Appended, state: LakeState) -> int:
    """Count the rows that a batch added, now or before a kill; those of the clone's commit are not new."""
    known = state.committed - set(added.files)
    return sum(rows for name, rows in added.rows_by_file.items() if name not in known)


def _nothing_new(
    known: Sequence[tuple[Fetched, Entry[DataVersioned] | None]], pulled: Pull | None
) -> Outcome:
    if pulled is not None or not known:
        return Outcome(_NOTHING)
    table, entry = known[0]
    assert entry is not None  # otherwise it would be new
    return Outcome(
        f"Nothing new: {table.name} was ingested on {entry.recorded_at:%Y-%m-%d} "
        f"as version {entry.record.md5[:12]}."
    )


def _refused(project: Project, refused: StagedTable, state: LakeState) -> Outcome:
    """Record that a table was rejected, once per content and contract."""
    if refused.report.error is not None and state.contract is None:
        error = refused.report.error
        raise DataError(f"{refused.table.file}: {error.message}", remedy=error.remedy) from error
    recorded = project.ledger.record(
        DataRefused(
            file=refused.table.name,
            sha256=refused.sha256,
            contract=state.contract_digest,
            reasons=refused.refusals,
        )
    )
    text = f"{recorded.record.sentence} Nothing was added."
    details = f" Details: `mlops data check {refused.table.file}`." if refused.report.refusals else ""
    return Outcome(text + details, refused=True)


def _describe(versioned: Entry[DataVersioned], staged: Sequence[StagedTable]) -> str:
    added = versioned.record
    sentences = [f"{added.rows:,} rows added; the data is at version {added.md5[:12]}."]
    for each in staged:
        report = each.report
        sentences += [f"{note}." for note in report.notes]
        if report.bad:
            reasons = shown(
                [f"{reason.column} is {reason.rule} ({reason.rows:,})" for reason in report.reasons], 3
            )
            where = f"of {report.name} {'is' if report.bad == 1 else 'are'} in {each.quarantined}"
            sentences.append(f"{report.bad:,} row{'' if report.bad == 1 else 's'} {where}: {reasons}.")
        sentences += [f"{bias}." for bias in report.biases]
    return " ".join(sentences)


def remove_raw(tree: Path) -> None:
    """Remove the raw files from the loop's tree, where nothing reads them; DVC's cache has them."""
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
    """Version what is new in the lake and among the raw files, commit the pointers, and record it."""
    data = DvcTree(tree)
    version = data.add(LAKE, new=sorted(new[LAKE]))
    raw = data.add(RAW, new=sorted(new[RAW])) if new.get(RAW) else data.version(RAW)
    commit = Tree(tree).commit_paths([path for path in POINTERS if (tree / path).exists()], because)
    if tree != project.folder.root:
        remove_raw(tree)
    return project.ledger.record(
        DataVersioned(
            rows=rows,
            md5=version.md5,
            raw=raw.md5 if raw else None,
            commit=commit,
            left_out=left_out or {},
            files=files,
            contract=contract,
            source=source,
        ),
        cause=cause,
        as_of=as_of,
    )


def _raw_files(tree: Path) -> frozenset[str]:
    folder = tree / RAW
    return frozenset(str(file.relative_to(folder)) for file in folder.glob("*/*") if file.is_file())
