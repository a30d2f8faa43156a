"""The versions of the data, from git's history and the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mlops.data.versions import Commit, DatasetVersion
from mlops.errors import UsageError, shown
from mlops.ledger.entry import Entry
from mlops.ledger.records import DataVersioned, ModelRegistered

__all__ = ["Pointed", "Recorded", "find", "recorded"]

_LEAST_PREFIX = 4


@dataclass(frozen=True)
class Pointed:
    """A commit whose pointer names a version, and the branches that hold the commit."""

    version: DatasetVersion
    commit: Commit
    branches: tuple[str, ...]


@dataclass(frozen=True)
class Recorded:
    """A version of the data, and what is known of it.

    Parameters
    ----------
    commit, at, message
        The first commit that names it, and that commit's own; None and "" where none does.
    branches
        Those whose history has it.
    added, rows
        Rows that it brought, and rows in all, where that is known.
    models
        Versions of the model that were trained on it.
    current
        Whether it is the one checked out.
    """

    md5: str
    files: int
    commit: str | None
    at: datetime | None
    message: str
    branches: tuple[str, ...]
    added: int | None
    rows: int | None
    models: tuple[str, ...]
    current: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        return asdict(self) | {"at": self.at.isoformat() if self.at else None}


def recorded(
    pointed: Sequence[Pointed],
    entries: Sequence[Entry[DataVersioned | ModelRegistered]],
    rows: Mapping[str, int],
    current: DatasetVersion | None,
) -> list[Recorded]:
    """Return each version once, newest first.

    Parameters
    ----------
    pointed
        Newest first; a version that was restored later appears in several commits.
    entries
        The ledger's ``data.versioned`` and ``model.registered``.
    rows
        Rows in all by md5, where known.
    current
        What is checked out; it leads the list where no commit names it.
    """
    first: dict[str, Pointed] = {one.version.md5: one for one in pointed}  # the last seen is the oldest
    oldest = {one.commit.sha for one in first.values()}
    names: dict[str, list[str]] = {}
    for one in pointed:
        known = names.setdefault(one.version.md5, [])
        known += [branch for branch in one.branches if branch not in known]
    versions = [entry.record for entry in entries if isinstance(entry.record, DataVersioned)]
    added = {version.md5: version.rows for version in reversed(versions)}
    models: dict[str, list[str]] = {}
    for entry in entries:
        if isinstance(entry.record, ModelRegistered):
            models.setdefault(entry.record.data_md5, []).append(entry.record.version)

    def version_of(version: DatasetVersion, at: Pointed | None) -> Recorded:
        md5 = version.md5
        return Recorded(
            md5=md5,
            files=version.files,
            commit=at.commit.sha if at else None,
            at=at.commit.at if at else None,
            message=at.commit.message.partition("\n")[0] if at else "",
            branches=tuple(names.get(md5, ())),
            added=added.get(md5),
            rows=rows.get(md5),
            models=tuple(dict.fromkeys(models.get(md5, ()))),
            current=current is not None and md5 == current.md5,
        )

    committed = [version_of(one.version, one) for one in pointed if one.commit.sha in oldest]
    uncommitted = [] if current is None or current.md5 in first else [version_of(current, None)]
    return [*uncommitted, *committed]


def find(prefix: str, versions: Sequence[DatasetVersion]) -> DatasetVersion | None:
    """Return the version whose md5 begins so, None where none does or the prefix is too short.

    Raises
    ------
    UsageError
        Several do.
    """
    if len(prefix) < _LEAST_PREFIX:
        return None
    matches = {version.md5: version for version in versions if version.md5.startswith(prefix.lower())}
    if len(matches) > 1:
        names = shown([md5[:12] for md5 in matches])
        raise UsageError(
            f"{prefix!r} is ambiguous: {len(matches)} versions match, {names}.",
            remedy="Give more characters.",
        )
    return next(iter(matches.values()), None)
