"""A table being taken in: known or new, held against the contract, staged, kept as it came."""

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

__all__ = ["Standing", "Taken", "take"]

_STEP = 1 << 20
_MOSTLY = 0.5
"""A table of which this share of rows is in the lake was taken before, and has grown or changed."""


@dataclass(frozen=True)
class Standing:
    """A tree's lake before something is added to it.

    Parameters
    ----------
    versioned
        The files of the lake's version.
    committed
        Those of the version that the branch's last commit names: less, where a run was killed.
    raw
        The same of what was kept as it came.
    """

    project: Project
    tree: Path
    contract: Contract | None
    versioned: frozenset[str]
    committed: frozenset[str]
    raw: frozenset[str]
    md5: str | None

    @classmethod
    def of(cls, project: Project, tree: Path) -> Standing:
        """Look at a tree's lake.

        Raises
        ------
        MlopsError
            No commit could be made there, or files of its version are not on disk.
        """
        git, data = Tree(tree), DvcTree(tree)
        git.branch()
        version, versioned = data.version(), data.files()
        committed = _committed(data, git.read(f"{LAKE}.dvc"), version, versioned)
        md5 = version.md5 if version else None
        standing = cls(project, tree, contract_of(project), versioned, committed, data.files(RAW), md5)
        absent = standing.versioned - standing.lake.names()
        if absent:
            raise MlopsError(
                f"{tree / LAKE} lacks {len(absent)} files of its version: {shown(sorted(absent), 2)}.",
                remedy="Bring them: `dvc checkout`, or `dvc pull` where the cache lacks them.",
            )
        return standing

    @property
    def lake(self) -> Lake:
        """The tree's lake."""
        return Lake(self.tree / LAKE)

    @property
    def contract_digest(self) -> str | None:
        """What the contract is named by: another wording of the file is the same contract."""
        if self.contract is None:
            return None
        return hashing.of_value(self.contract.model_dump(mode="json"))[:16]

    @property
    def is_recorded(self) -> bool:
        """Whether the ledger knows the lake as it is; a killed run may have left it otherwise."""
        return self.is_told and self.lake.names() == self.versioned

    @property
    def is_told(self) -> bool:
        """Whether the ledger knows the lake's version."""
        return self.md5 is None or any(entry.record.md5 == self.md5 for entry in self._versions)

    def known(self, table: Fetched) -> Entry[DataVersioned] | None:
        """Return the version that a table was ingested as into this lake, None where it is new.

        One of which rows were set aside is new again under another contract, where a key keeps its
        other rows from counting twice.
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
        """Tell whether rows of a new table may be in this lake already, and would count a second time."""
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
                raise DataError(f"There is no file {table.file}.", remedy="Check the path.") from exc
            except OSError as exc:
                raise DataError(
                    f"{table.file} cannot be read: {exc.strerror}.", remedy="Give a file that can."
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
    except DataError:  # a person took another version, and never had that of the commit
        return versioned


@dataclass(frozen=True)
class Taken:
    """A table that was read and staged, and is not seen yet.

    Parameters
    ----------
    refusals
        Why it must not be added; empty where it may.
    """

    standing: Standing
    table: Fetched
    report: Report
    staging: Staging
    refusals: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The digest of its file."""
        return self.standing.sha256(self.table)

    @property
    def quarantined(self) -> Path:
        """Where its bad rows are, below the project's root."""
        return _quarantine(self.standing, self.table).relative_to(self.standing.project.folder.root)

    def keep_raw(self) -> None:
        """Copy the file as it came beside what was staged, where params.yaml asks for that.

        Raises
        ------
        DataError
            It is no longer what was read.
        """
        copy = self._copy
        if self.standing.project.params.data.raw:
            copy.parent.mkdir(exist_ok=True)
            digest = _copy(self.table.file, copy)
        else:
            digest = hashing.of_file(self.table.file)
        if digest != self.sha256:
            raise DataError(
                f"{self.table.file} changed while it was ingested.", remedy="Ingest it once it is complete."
            )

    def publish(self) -> Appended:
        """Show its rows in the lake."""
        return self.standing.lake.publish(self.staging)

    def settle(self, added: Appended) -> None:
        """Show its file where such are kept, and its bad rows in quarantine."""
        standing = self.standing
        folder = raw_folder(added.batch, self.sha256)
        there = place(f"{folder}/") in {place(name) for name in standing.raw}
        if self._copy.exists() and not there:
            kept = standing.tree / RAW / folder / self._copy.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            self._copy.replace(kept)
        if self.report.bad:
            _unseen(standing, self.table).replace(_quarantine(standing, self.table))

    def file(self, added: Appended) -> IngestedFile:
        """Return what the ledger keeps of it: no value of a row."""
        report = self.report
        return IngestedFile(
            name=self.table.name,
            sha256=self.sha256,
            rows=report.good,
            parts=tuple(sorted(added.held)),
            quarantined=report.bad,
            quarantine=str(self.quarantined) if report.bad else None,
            reasons=tuple(BadRows(reason.column, reason.rule, reason.rows) for reason in report.reasons),
        )

    @property
    def _copy(self) -> Path:
        return self.staging.folder / "raw" / self.table.file.name


def take(standing: Standing, table: Fetched, staging: Staging) -> Taken:
    """Read a table, hold it against the contract, stage its good rows and set the bad ones aside.

    Raises
    ------
    DataError
        The file cannot be read as a table.
    """
    project = standing.project
    standing.sha256(table)
    with _aside(standing, table) as quarantine:
        report = examined(
            standing.lake,
            table.file,
            table.name,
            project.schema,
            standing.contract,
            now=datetime.now(UTC),
            staging=staging,
            quarantine=quarantine,
        )
    refusals = report.refusals or _twice(standing, table, report, staging)
    if refusals:
        _unseen(standing, table).unlink(missing_ok=True)
    return Taken(standing, table, report, staging, refusals)


def _twice(standing: Standing, table: Fetched, report: Report, staging: Staging) -> tuple[str, ...]:
    """Refuse what is for the most part in the lake already, where no key keeps it from counting twice."""
    if not standing.may_repeat(table):
        return ()
    there = standing.lake.overlap(staging, standing.project.schema)
    if there < _MOSTLY * max(1, report.good):
        return ()
    way = "" if table.again else ", or rename the file where its rows are others"
    if table.again and table.position is None:
        way = ", or data.source.cursor where rows are only added"
    return (
        f"{there:,} of its {report.good:,} rows are in the lake already and would count twice. "
        f"Name data.key, by which a row that comes again takes the place of the one before{way}.",
    )


@contextmanager
def _aside(standing: Standing, table: Fetched) -> Iterator[IO[str] | None]:
    if standing.contract is None:
        yield None
        return
    unseen = _unseen(standing, table)
    unseen.parent.mkdir(parents=True, exist_ok=True)
    with unseen.open("w", encoding="utf-8") as file:
        yield file
    if unseen.stat().st_size == 0:
        unseen.unlink()


def _quarantine(standing: Standing, table: Fetched) -> Path:
    name = f"{stem(Path(table.name))}-{standing.sha256(table)[:16]}.jsonl"
    return standing.project.folder.home / "quarantine" / name


def _unseen(standing: Standing, table: Fetched) -> Path:
    quarantine = _quarantine(standing, table)
    return atomic.temporary(quarantine)


def _copy(file: Path, to: Path) -> str:
    """Copy a file and return the digest of what was copied."""
    digest = hashlib.sha256()
    with file.open("rb") as source, to.open("wb") as target:
        while piece := source.read(_STEP):
            digest.update(piece)
            target.write(piece)
    return digest.hexdigest()
