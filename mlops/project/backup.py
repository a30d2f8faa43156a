"""What `mlops backup` does: save all of .mlops to one file, while the loop runs.

References are saved before what they refer to: first the ledger, then MLflow's database, then the files
that both name. So everything that a restored row names exists.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from mlops import __version__
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LOOP_BRANCH
from mlops.errors import MlopsError, UsageError
from mlops.files import archive
from mlops.files.archive import Archive
from mlops.ledger.records import ModelRegistered
from mlops.prediction_log import reader
from mlops.prediction_log.segment import folders
from mlops.project.context import Project
from mlops.project.gc import exclusive

__all__ = ["PACKED_BRANCH", "Saved", "backup"]

log = logging.getLogger("mlops")

PACKED_BRANCH = "git/loop.bundle"
_OF_THE_MOMENT = {
    "run", "locks", "logs", "services", "gateway", "worktree", "worktree.lock", "reproduce", "try",
}  # fmt: skip
"""State of running processes, and what is created anew."""
_UNFINISHED = (
    ".*.tmp",
    "aside/.*.tmp",
    "bundles/.*",
    "fetched/*/.*",
    "labels/.*.tmp",
    "quarantine/.*",
    "runs/.*.tmp",
)
"""Where we write what has its own name only when it is whole; what others keep here is saved as it is."""
_TOOLS = ("mlflow", "prefect", "dvc")


@dataclass(frozen=True)
class Saved:
    """A finished backup.

    Parameters
    ----------
    absent
        What it does not include, and how to save that.
    """

    files: int
    bytes: int
    absent: list[str]


def backup(project: Project, file: Path, *, with_data: bool = False) -> Saved:
    """Write the project's .mlops to a file, while its parts run.

    Parameters
    ----------
    with_data
        Include the objects of DVC's cache that any version of the data, a branch, a tag or a registered
        version of the model needs.

    Raises
    ------
    UsageError
        The file exists, or is inside .mlops.
    ConflictError
        `mlops gc` is running.
    """
    home = project.folder.home
    if file.is_relative_to(home):
        raise UsageError(f"{file} is inside .mlops.", remedy="Choose a path outside .mlops.")
    if not file.parent.is_dir():
        raise UsageError(f"The folder {file.parent} does not exist.", remedy="Create it first.")
    absent = list(_absent(project, with_data=with_data))
    with (
        exclusive(project, "housekeeping"),
        TemporaryDirectory(dir=file.parent, prefix=".mlops-backup-") as staging,
        archive.write(file, _about(project, absent)) as out,
    ):
        log.info("saving the databases")
        _save_databases(home, out, Path(staging))
        packed = Path(staging, "loop.bundle")
        if Tree(project.folder.root).pack(LOOP_BRANCH, packed) is not None:
            out.add(PACKED_BRANCH, packed)
        log.info("saving the prediction log")
        _save_predictions(project.folder.predictions, out)
        log.info("saving the other files")
        for path in _files(home):
            if path.relative_to(home).parts[0] != "predictions" and not _is_database(path):
                out.add(_name(path, home), path)
        if with_data:
            log.info("saving the data")
            _save_data(project, out)
    return Saved(len(out.files), file.stat().st_size, absent)


def _about(project: Project, absent: list[str]) -> dict[str, object]:
    return {
        "project": project.params.data.name,
        "root": str(project.folder.root),
        "at": datetime.now(UTC).isoformat(),
        "mlops": __version__,
        "versions": {name: version(name) for name in _TOOLS},
        "absent": absent,
    }


def _absent(project: Project, *, with_data: bool) -> Iterator[str]:
    settings = project.folder.settings
    if settings.ledger_uri:
        kind = settings.ledger_uri.partition(":")[0]
        how = "`sqlite3 FILE .backup`" if kind.startswith("sqlite") else "`pg_dump` or what that database has"
        yield f"the ledger, in another database by MLOPS_LEDGER_URI ({kind}): save it with {how}"
    if settings.mlflow_tracking_uri:
        yield "MLflow's runs and versions, kept elsewhere: `pg_dump` its database, copy its artifacts"
    if settings.prefect_api_url:
        yield "Prefect's runs and schedules, kept elsewhere: `pg_dump` its database"
    if not with_data:
        yield "the data: `mlops data push` sends it to a DVC remote, or give --with-data"
    if _moved_aside(project.folder.home):
        yield "what an earlier restore moved to .mlops/aside: copy it, or delete it if it is not needed"
    yield f"the git repository, except the branch {LOOP_BRANCH}: `git push` it; and .env with its secrets"


def _save_databases(home: Path, out: Archive, staging: Path) -> None:
    ledger = home / "ledger.db"
    found = [path for path in _files(home) if _is_database(path)]
    for number, path in enumerate(sorted(found, key=lambda path: (path != ledger, path))):
        copy = staging / f"{number}.db"
        try:
            with (
                closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as exc:
            raise MlopsError(
                f"{path} cannot be copied: {exc}.", remedy="Check the disk, and run the command again."
            ) from exc
        out.add(_name(path, home), copy)
        copy.unlink()


def _save_predictions(folder: Path, out: Archive) -> None:
    with reader.open_files(folder) as (segments, stored):
        for name, segment in segments.items():
            content = segment.read()
            # A partly written row has not been returned to a client yet.
            whole = content[: content.rfind(b"\n") + 1]
            closed = folders(folder).closed / f"{name}.jsonl"  # whose writer will not be there
            out.add_bytes(_name(closed, folder.parent), whole, os.fstat(segment.fileno()))
        for path in stored:
            out.add(_name(path, folder.parent), path)


def _save_data(project: Project, out: Archive) -> None:
    from mlops.adapters.dvc.tree import DvcTree
    from mlops.project.data_log import reachable

    commits = [entry.record.commit for entry in project.ledger.entries(ModelRegistered)]
    tree = DvcTree(project.folder.root)
    cache = tree.cache()
    for path in tree.objects(commits, reachable(project)).needed:
        out.add(f"cache/{path.relative_to(cache).as_posix()}", path)


def _files(home: Path) -> Iterator[Path]:
    """Yield the files to save; symbolic links to folders are followed."""
    visited = {os.path.realpath(home)}
    for folder, names, files in os.walk(home, followlinks=True):
        here = Path(folder)
        for name in [name for name in names if (here / name).is_symlink()]:
            target = os.path.realpath(here / name)
            if any(Path(target).is_relative_to(other) for other in visited):  # it is saved at its own place
                names.remove(name)
            visited.add(target)
        if here == home:
            names[:] = [name for name in names if name not in _OF_THE_MOMENT]
            files = [name for name in files if name not in _OF_THE_MOMENT]
        elif here == home / "aside":
            names[:] = [name for name in names if name == "data"]
        names[:] = [name for name in names if not _is_unfinished(here / name, home)]
        for name in sorted(files):
            if (here / name).is_file() and not _is_unfinished(here / name, home):
                yield here / name


def _moved_aside(home: Path) -> list[Path]:
    return [folder for folder in (home / "aside").glob("*") if folder.is_dir() and folder.name != "data"]


def _is_unfinished(path: Path, home: Path) -> bool:
    name = path.relative_to(home).as_posix()
    if any(fnmatchcase(name, pattern) for pattern in _UNFINISHED):
        return True
    whole, dash, kind = name.rpartition("-")
    # SQLite's side files are part of the database's copy.
    return kind in {"wal", "shm", "journal"} and bool(dash) and _is_database(home / whole)


def _is_database(path: Path) -> bool:
    if path.suffix != ".db":
        return False
    # Never opened as a file: closing it would drop the locks of all connections of this process to it,
    # and another process could remove its write-ahead log (SQLite, "How To Corrupt", 2.2).
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.OperationalError:  # in use or unreadable: the copy reports that
        return True
    except sqlite3.DatabaseError:
        return False
    return True


def _name(path: Path, home: Path) -> str:
    return f"home/{path.relative_to(home).as_posix()}"
