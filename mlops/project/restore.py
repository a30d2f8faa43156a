"""What `mlops restore` does: replace the project's .mlops by a backup's."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LOOP_BRANCH
from mlops.errors import ConflictError, UsageError
from mlops.files import archive, atomic
from mlops.files.archive import Manifest
from mlops.project import run_marks
from mlops.project.backup import PACKED_BRANCH
from mlops.project.context import Project
from mlops.project.health import serving_supervisor, tools_supervisor

log = logging.getLogger("mlops")

__all__ = ["Restored", "restore"]


@dataclass(frozen=True)
class Restored:
    """The number of restored files, and notes for the person."""

    files: int
    notes: list[str]


def restore(project: Project, file: Path, *, force: bool = False) -> Restored:
    """Replace the project's .mlops by a backup's, after every file of it is checked.

    Parameters
    ----------
    force
        Move the project's existing history to ``.mlops/aside``.

    Raises
    ------
    ConflictError
        Parts of the project are running.
    UsageError
        The project has a history and `force` is not set, or the backup is another project's.
    MlopsError
        The backup is damaged. Nothing was replaced.
    """
    _refuse_running(project)
    root, home = project.folder.root, project.folder.home
    if not force and _has_history(home):
        raise UsageError(
            f"{home} has a ledger with rows: this project already has a history.",
            remedy="Restore into a fresh clone with --into, or move the existing .mlops aside with --force.",
        )
    staging = root / ".mlops.restoring"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        log.info("reading %s", file)
        manifest = archive.extract(file, staging)
        name = project.params.data.name
        if manifest.about["project"] != name:
            raise UsageError(
                f"{file} is a backup of {manifest.about['project']}, and this project is {name}.",
                remedy="Name the folder of that project with --into.",
            )
        log.info("restoring its files")
        notes = [*_restore_branch(root, staging), *_restore_data(project, staging)]
        run_marks.mark_all_dead(staging / "home")
        notes += [*_exchange(home, staging / "home"), *_notes(home, manifest)]
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Restored(len(manifest.files), notes)


def _restore_branch(root: Path, staging: Path) -> list[str]:
    packed = staging / PACKED_BRANCH
    if not packed.is_file() or Tree(root).unpack(LOOP_BRANCH, packed):
        return []
    return [
        f"The branch {LOOP_BRANCH} has diverged here and was not changed; its saved commits were fetched."
    ]


def _restore_data(project: Project, staging: Path) -> list[str]:
    from mlops.adapters.dvc.tree import DvcTree

    saved = staging / "cache"
    if not saved.is_dir():
        return ["The data is not in this backup: fetch it with `dvc pull`."]
    cache = DvcTree(project.folder.root).cache()
    for path in sorted(file for file in saved.rglob("*") if file.is_file()):
        place = cache / path.relative_to(saved)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            # The cache may be on another disk: whole under its name in any case.
            with atomic.replaced(place) as partial:
                shutil.move(path, partial)
    return ["The data is in DVC's cache: check it out with `dvc checkout`."]


def _exchange(home: Path, fresh: Path) -> list[str]:
    """Replace `home` by `fresh`; the old one is moved aside, never deleted."""
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
    return [f"The previous .mlops is in {aside}: delete it when you no longer need it."]


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
    runs += [service.id for target in project.targets for service in target.running(unhealthy=True)]
    if runs:
        raise ConflictError(
            f"Parts of {project.folder.root} are running: {', '.join(runs)}.",
            remedy="Stop them first: `mlops down --serving`.",
        )


def _has_history(home: Path) -> bool:
    ledger = home / "ledger.db"
    if not ledger.is_file():
        return False
    with closing(sqlite3.connect(ledger)) as database:
        try:
            return database.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is not None
        except sqlite3.OperationalError:  # created, without tables yet
            return False
