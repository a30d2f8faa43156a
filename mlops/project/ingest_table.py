"""A table in ingestion: known or new, checked against the contract, staged, its raw file kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, RAW
from mlops.data.batch import Report
from mlops.data.contract import Contract
from mlops.data.lake import Appended, Lake
from mlops.data.source import Fetched
from mlops.data.staging import Staging
from mlops.data.versions import DatasetVersion, place, raw_folder, read_pointer
from mlops.errors import DataError, MlopsError, shown
from mlops.files import atomic, hashing
from mlops.ledger.entry import Entry
from mlops.ledger.records import BadRows, DataVersioned, IngestedFile
from mlops.project.context import Project
from mlops.project.data_check import contract_of, examined
from mlops.tables.readers import stem

__all__ = ["LakeState", "StagedTable", "stage_table"]

_CHUNK_BYTES = 1 << 20
_REPEATED_SHARE = 0.5
"""A table with this share of its rows in the lake was ingested before, and has grown or changed."""


@dataclass(frozen=True)
class LakeState:
    """The lake of a work tree before an ingestion.

    Parameters
    ----------
    versioned
        The files of the lake's version.
    committed
        The files of the version that the branch's last commit names; fewer, where a run was killed.
    raw
        The raw files of the version.
    """

    project: Project
    tree: Path
    contract: Contract | None
    versioned: frozenset[str]
    committed: frozenset[str]
    raw: frozenset[str]
    md5: str | None

    @classmethod
    def of(cls, project: Project, tree: Path) -> LakeState:
        """Read the state of a tree's lake.

        Raises
        ------
        MlopsError
            The tree cannot be committed to, or files of its version are not on disk.
        """
        git, data = Tree(tree), DvcTree(tree)
        git.branch()
        version, versioned = data.version(), data.files()
        committed = _committed(data, git.read(f"{LAKE}.dvc"), version, versioned)
        md5 = version.md5 if version else None
        state = cls(project, tree, contract_of(project), versioned, committed, data.files(RAW), md5)
        absent = state.versioned - state.lake.names()
        if absent:
            raise MlopsError(
                f"{tree / LAKE}: {len(absent)} files of its version are missing: {shown(sorted(absent), 2)}.",
                remedy="Restore them with `dvc checkout`, or with `dvc pull` if the cache lacks them.",
            )
        return state

    @property
    def lake(self) -> Lake:
        """The tree's lake."""
        return Lake(self.tree / LAKE)

    @property
    def contract_digest(self) -> str | None:
        """The contract's id: the file may be worded otherwise and stay the same contract."""
        if self.contract is None:
            return None
        return hashing.of_value(self.contract.model_dump(mode="json"))[:16]

    @property
    def is_recorded(self) -> bool:
        """Whether the ledger has a version with exactly the lake's files; not so after a killed run."""
        return self.has_recorded_version and self.lake.names() == self.versioned

    @property
    def has_recorded_version(self) -> bool:
        """Whether the lake's version is in the ledger."""
        return self.md5 is None or any(entry.record.md5 == self.md5 for entry in self._versions)

    def known(self, table: Fetched) -> Entry[DataVersioned] | None:
        """Return the version by which a table was ingested into this lake, None if it is new.

        A table with quarantined rows is new again under another contract, if a key keeps its other
        rows from counting twice.
        """
        sha = self.sha256(table)
        for entry in reversed(self._versions):
            for file in entry.record.files:
                if file.sha256 != sha or not self.versioned.issuperset(file.parts):
                    continue
                same_rule = entry.record.contract == self.contract_digest
                if same_rule or not file.quarantined or self.project.schema.key is None:
                    return entry
        return None

    def may_repeat(self, table: Fetched) -> bool:
        """Tell whether rows of a new table may already be in this lake, and would count twice."""
        if self.project.schema.key is not None:
            return False
        files = [file for entry in self._versions for file in entry.record.files]
        return table.again or any(file.name == table.name for file in files)

    def sha256(self, table: Fetched) -> str:
        """Return the digest of a table's file.

        Raises
        ------
        DataError
            It cannot be read.
        """
        if table.file not in self._digests:
            try:
                self._digests[table.file] = hashing.of_file(table.file)
            except FileNotFoundError as exc:
                raise DataError(f"{table.file} does not exist.", remedy="Check the path.") from exc
            except OSError as exc:
                raise DataError(
                    f"{table.file} cannot be read: {exc.strerror}.", remedy="Check its permissions."
                ) from exc
        return self._digests[table.file]

    @cached_property
    def _digests(self) -> dict[Path, str]:
        return {}

    @cached_property
    def _versions(self) -> list[Entry[DataVersioned]]:
        return self.project.ledger.entries(DataVersioned)


def _committed(
    data: DvcTree, pointer: str | None, version: DatasetVersion | None, versioned: frozenset[str]
) -> frozenset[str]:
    last = read_pointer(pointer) if pointer else None
    try:
        return versioned if last == version else data.files_of(last)
    except DataError:  # a person checked out another version, and the commit's is not in the cache
        return versioned


@dataclass(frozen=True)
class StagedTable:
    """A table that was read and staged, not yet published.

    Parameters
    ----------
    refusals
        Why it is rejected; empty if it is accepted.
    """

    state: LakeState
    table: Fetched
    report: Report
    staging: Staging
    refusals: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Digest of its file."""
        return self.state.sha256(self.table)

    @property
    def quarantined(self) -> Path:
        """File of its bad rows, relative to the project's root."""
        return _quarantine_file(self.state, self.table).relative_to(self.state.project.folder.root)

    def stage_raw(self) -> None:
        """Copy the raw file beside the staged rows, if ``data.raw`` is set.

        Raises
        ------
        DataError
            The file changed since it was read.
        """
        copy = self._raw_copy
        if self.state.project.params.data.raw:
            copy.parent.mkdir(exist_ok=True)
            digest = _copy_file(self.table.file, copy)
        else:
            digest = hashing.of_file(self.table.file)
        if digest != self.sha256:
            raise DataError(
                f"{self.table.file} changed during the ingestion.", remedy="Ingest it when it is complete."
            )

    def publish(self) -> Appended:
        """Publish its rows in the lake."""
        return self.state.lake.publish(self.staging)

    def publish_files(self, added: Appended) -> None:
        """Move the raw file and the quarantined rows to their places."""
        state = self.state
        folder = raw_folder(added.batch, self.sha256)
        there = place(f"{folder}/") in {place(name) for name in state.raw}
        if self._raw_copy.exists() and not there:
            raw = state.tree / RAW / folder / self._raw_copy.name
            raw.parent.mkdir(parents=True, exist_ok=True)
            self._raw_copy.replace(raw)
        if self.report.bad:
            _unpublished_quarantine(state, self.table).replace(_quarantine_file(state, self.table))

    def file(self, added: Appended) -> IngestedFile:
        """Return what the ledger keeps of it, without the values of its rows."""
        report = self.report
        return IngestedFile(
            name=self.table.name,
            sha256=self.sha256,
            rows=report.good,
            parts=tuple(sorted(added.rows_by_file)),
            quarantined=report.bad,
            quarantine=str(self.quarantined) if report.bad else None,
            reasons=tuple(BadRows(reason.column, reason.rule, reason.rows) for reason in report.reasons),
            biases=tuple(bias.rows for bias in report.biases),
        )

    @property
    def _raw_copy(self) -> Path:
        return self.staging.folder / "raw" / self.table.file.name


def stage_table(state: LakeState, table: Fetched, staging: Staging) -> StagedTable:
    """Read a table, check it against the contract, stage its good rows and quarantine the bad ones.

    Raises
    ------
    DataError
        The file cannot be read as a table.
    """
    project = state.project
    state.sha256(table)
    with _quarantine_writer(state, table) as quarantine:
        report = examined(
            state.lake,
            table.file,
            table.name,
            project.schema,
            state.contract,
            now=datetime.now(UTC),
            staging=staging,
            quarantine=quarantine,
        )
    refusals = report.refusals or _refuse_repeats(state, table, report, staging)
    if refusals:
        _unpublished_quarantine(state, table).unlink(missing_ok=True)
    return StagedTable(state, table, report, staging, refusals)


def _refuse_repeats(state: LakeState, table: Fetched, report: Report, staging: Staging) -> tuple[str, ...]:
    """Return why a table is rejected that is mostly in the lake already, with no key to deduplicate by."""
    if not state.may_repeat(table):
        return ()
    there = state.lake.overlap(staging, state.project.schema)
    if there < _REPEATED_SHARE * max(1, report.good):
        return ()
    alternative = "" if table.again else ", or rename the file if its rows are different ones"
    if table.again and table.position is None:
        alternative = ", or data.source.cursor if rows are only appended"
    return (
        f"{there:,} of its {report.good:,} rows are already in the lake and would count twice. "
        f"Set data.key, so that a row with the same key replaces the earlier one{alternative}.",
    )


@contextmanager
def _quarantine_writer(state: LakeState, table: Fetched) -> Iterator[IO[str] | None]:
    if state.contract is None:
        yield None
        return
    partial = _unpublished_quarantine(state, table)
    partial.parent.mkdir(parents=True, exist_ok=True)
    atomic.sweep(partial.parent)
    try:
        with partial.open("w", encoding="utf-8") as file:
            yield file
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if partial.stat().st_size == 0:
        partial.unlink()


def _quarantine_file(state: LakeState, table: Fetched) -> Path:
    name = f"{stem(Path(table.name))}-{state.sha256(table)[:16]}.jsonl"
    return state.project.folder.home / "quarantine" / name


def _unpublished_quarantine(state: LakeState, table: Fetched) -> Path:
    return atomic.temporary(_quarantine_file(state, table))


def _copy_file(file: Path, to: Path) -> str:
    """Copy a file and return the digest of what was copied."""
    digest = hashlib.sha256()
    with file.open("rb") as source, to.open("wb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()
