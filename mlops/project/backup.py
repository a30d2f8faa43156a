"""Backups: all that the loop keeps in .mlops in one file, taken while it runs; and back again.

What names is saved before what is named: first the ledger, then MLflow's database, then the
files that both tell of. So whatever a restored row tells of is there.
"""

from __future__ import annotations

import logging
import os
import shutil
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
from mlops.errors import ConflictError, MlopsError, UsageError
from mlops.files import archive
from mlops.files.archive import Archive, Manifest
from mlops.prediction_log import reader
from mlops.prediction_log.segment import folders
from mlops.project import run_marks
from mlops.project.context import Project
from mlops.project.gc import alone
from mlops.project.health import serving_supervisor, tools_supervisor

__all__ = ["Restored", "Saved", "backup", "restore"]

log = logging.getLogger("mlops")

_BUNDLE = "git/loop.bundle"
_OF_THE_MOMENT = {
    "run", "locks", "logs", "services", "gateway", "worktree", "worktree.lock", "reproduce", "try",
}  # fmt: skip
"""What tells of processes that run now, or is made anew."""
_UNFINISHED = (
    "aside/.*.partial",
    "bundles/.*",
    "fetched/*/.*",
    "fetched/*/fetched.json.tmp",
    "labels/*.tmp",
    "quarantine/.*",
    "runs/.*.tmp",
)
"""Where we write what has its own name only when it is whole; what others keep here is saved as it is."""
_TOOLS = ("mlflow", "prefect", "dvc")


@dataclass(frozen=True)
class Saved:
    """A backup that was written.

    Parameters
    ----------
    absent
        What is not in it, and how to save that.
    """

    files: int
    bytes: int
    absent: list[str]


@dataclass(frozen=True)
class Restored:
    """What was put back, and what a person should know of it."""

    files: int
    notes: list[str]


def backup(project: Project, file: Path, *, with_data: bool = False) -> Saved:
    """Write the project's .mlops to a file, while its parts run.

    Parameters
    ----------
    with_data
        Also the objects of DVC's cache that any version of the data, a branch, a tag or a registered
        version of the model needs.

    Raises
    ------
    UsageError
        The file exists, or lies in .mlops itself.
    ConflictError
        `mlops gc` is at work.
    """
    home = project.folder.home
    if file.is_relative_to(home):
        raise UsageError(f"{file} lies in what is to be saved.", remedy="Choose a place outside .mlops.")
    if not file.parent.is_dir():
        raise UsageError(f"There is no folder {file.parent}.", remedy="Make it first.")
    absent = list(_absent(project, with_data=with_data))
    with (
        alone(project, "housekeeping"),
        TemporaryDirectory(dir=file.parent, prefix=".mlops-backup-") as staging,
        archive.write(file, _about(project, absent)) as out,
    ):
        log.info("save the databases")
        _save_databases(home, out, Path(staging))
        packed = Path(staging, "loop.bundle")
        if Tree(project.folder.root).pack(LOOP_BRANCH, packed) is not None:
            out.add(_BUNDLE, packed)
        log.info("save the prediction log")
        _save_predictions(project.folder.predictions, out)
        log.info("save the other files")
        for path in _files(home):
            if path.relative_to(home).parts[0] != "predictions" and not _is_database(path):
                out.add(_name(path, home), path)
        if with_data:
            log.info("save the data")
            _save_data(project, out)
    return Saved(len(out.files), file.stat().st_size, absent)


def restore(project: Project, file: Path, *, force: bool = False) -> Restored:
    """Put a backup's .mlops in the place of the project's, once every file of it is checked.

    Parameters
    ----------
    force
        Where the project has a history of its own, move that to ``.mlops/aside``.

    Raises
    ------
    ConflictError
        Parts of the project run.
    UsageError
        The project has a history and `force` was not given, or the backup is another project's.
    MlopsError
        The backup is damaged. Nothing was replaced.
    """
    _refuse_running(project)
    root, home = project.folder.root, project.folder.home
    if not force and _has_history(home):
        raise UsageError(
            f"{home} holds a ledger with rows: this project has a history of its own.",
            remedy="Restore into a fresh clone with --into, or move what is there aside with --force.",
        )
    staging = root / ".mlops.restoring"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        log.info("read %s", file)
        manifest = archive.extract(file, staging)
        name = project.params.data.name
        if manifest.about["project"] != name:
            raise UsageError(
                f"{file} is a backup of {manifest.about['project']}, and this project is {name}.",
                remedy="Name the clone it belongs to with --into.",
            )
        log.info("put back what it holds")
        notes = [*_restore_branch(root, staging), *_restore_data(project, staging)]
        run_marks.orphan(staging / "home")
        notes += [*_exchange(home, staging / "home"), *_notes(home, manifest)]
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Restored(len(manifest.files), notes)


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
        yield f"the ledger, kept elsewhere by MLOPS_LEDGER_URI ({kind}): save it with {how}"
    if settings.mlflow_tracking_uri:
        yield "MLflow's runs and versions, kept elsewhere: `pg_dump` its database, copy its artifacts"
    if settings.prefect_api_url:
        yield "Prefect's runs and schedules, kept elsewhere: `pg_dump` its database"
    if not with_data:
        yield "the data: `mlops data push` sends it to a DVC remote, or give --with-data"
    if _moved_aside(project.folder.home):
        yield "what an earlier restore moved to .mlops/aside: copy it, or remove it where nobody needs it"
    yield f"what git holds, beside the branch {LOOP_BRANCH}: `git push` it; and .env, which may hold secrets"


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
                f"{path} cannot be copied: {exc}.", remedy="Check the disk; do it again."
            ) from exc
        out.add(_name(path, home), copy)
        copy.unlink()


def _save_predictions(folder: Path, out: Archive) -> None:
    with reader.opened(folder) as (segments, stored):
        for name, segment in segments.items():
            content = segment.read()
            # A row that is being written has answered nobody yet.
            whole = content[: content.rfind(b"\n") + 1]
            closed = folders(folder).closed / f"{name}.jsonl"  # whose writer will not be there
            out.add_bytes(_name(closed, folder.parent), whole, os.fstat(segment.fileno()))
        for path in stored:
            out.add(_name(path, folder.parent), path)


def _save_data(project: Project, out: Archive) -> None:
    from mlops.adapters.dvc.tree import DvcTree
    from mlops.project.data_log import kept

    commits = [entry.body["commit"] for entry in project.ledger.entries("model.registered")]
    tree = DvcTree(project.folder.root)
    cache = tree.cache()
    for path in tree.objects(commits, kept(project)).needed:
        out.add(f"cache/{path.relative_to(cache).as_posix()}", path)


def _restore_branch(root: Path, staging: Path) -> list[str]:
    packed = staging / _BUNDLE
    if not packed.is_file() or Tree(root).unpack(LOOP_BRANCH, packed):
        return []
    return [
        f"The branch {LOOP_BRANCH} has gone another way here and was left; its saved commits were fetched."
    ]


def _restore_data(project: Project, staging: Path) -> list[str]:
    from mlops.adapters.dvc.tree import DvcTree

    saved = staging / "cache"
    if not saved.is_dir():
        return ["The data is not in this backup: bring it with `dvc pull`."]
    cache = DvcTree(project.folder.root).cache()
    for path in sorted(file for file in saved.rglob("*") if file.is_file()):
        place = cache / path.relative_to(saved)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            # The cache may be on another disk: whole under its name in any case.
            partial = place.with_name(f".{place.name}.tmp")
            shutil.move(path, partial)
            partial.replace(place)
    return ["The data is in DVC's cache: lay it out with `dvc checkout`."]


def _exchange(home: Path, fresh: Path) -> list[str]:
    """Put `fresh` in the place of `home`, which is moved aside, never removed."""
    fresh.mkdir(exist_ok=True)
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    old = home.with_name(f".mlops.{now}")
    if home.exists():
        home.rename(old)
    fresh.rename(home)
    if not old.exists():
        return []
    # Within .mlops, which git ignores.
    aside = home / "aside" / now
    aside.parent.mkdir(exist_ok=True)
    old.rename(aside)
    return [f"What was in .mlops is in {aside}: remove it when you no longer need it."]


def _notes(home: Path, manifest: Manifest) -> Iterator[str]:
    for name, saved in manifest.about["versions"].items():
        if saved != version(name):
            yield f"The backup was made with {name} {saved}; here is {version(name)}."
    store = home / "mlflow" / "mlflow.db"
    if store.is_file():
        with closing(sqlite3.connect(store)) as database:
            query = "SELECT count(*) FROM experiments WHERE artifact_location NOT LIKE 'mlflow-artifacts:%'"
            [[elsewhere]] = database.execute(query)
        if elsewhere:
            yield f"{elsewhere} experiments of MLflow keep their artifacts elsewhere: not in this backup."
    yield from (
        f"Not in this backup: {one}." for one in manifest.about["absent"] if not one.startswith("the data")
    )


def _refuse_running(project: Project) -> None:
    runs = [
        name
        for name, one in (("tools", tools_supervisor(project)), ("gateway", serving_supervisor(project)))
        if one.pid()
    ]
    runs += [service.id for target in project.targets for service in target.running(ailing=True)]
    if runs:
        raise ConflictError(
            f"Parts of {project.folder.root} run: {', '.join(runs)}.",
            remedy="Stop them first: `mlops down --serving`.",
        )


def _has_history(home: Path) -> bool:
    ledger = home / "ledger.db"
    if not ledger.is_file():
        return False
    with closing(sqlite3.connect(ledger)) as database:
        try:
            return database.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is not None
        except sqlite3.OperationalError:  # begun, and without a table yet
            return False


def _files(home: Path) -> Iterator[Path]:
    """Yield the files that are worth keeping; a folder that is a link to another disk counts as one here."""
    seen = {os.path.realpath(home)}
    for folder, names, files in os.walk(home, followlinks=True):
        here = Path(folder)
        for name in [name for name in names if (here / name).is_symlink()]:
            target = os.path.realpath(here / name)
            if any(Path(target).is_relative_to(other) for other in seen):  # it is saved at its own place
                names.remove(name)
            seen.add(target)
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
    # What SQLite keeps beside a database is in the copy of that.
    return kind in {"wal", "shm", "journal"} and bool(dash) and _is_database(home / whole)


def _is_database(path: Path) -> bool:
    if path.suffix != ".db":
        return False
    # Never opened by hand: to close it again would drop the locks of every connection that this
    # process has to it, and another process would take its write-ahead log away (SQLite, "How to
    # corrupt", 2.2).
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.OperationalError:  # one that is in use, or out of reach: for the copy to tell
        return True
    except sqlite3.DatabaseError:
        return False
    return True


def _name(path: Path, home: Path) -> str:
    return f"home/{path.relative_to(home).as_posix()}"
