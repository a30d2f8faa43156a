"""Housekeeping: what accumulates on this machine, and what the limits of params.yaml delete."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from mlops.errors import MlopsError, UsageError
from mlops.files import atomic
from mlops.ledger.records import (
    DeploymentServed,
    DeploymentStarted,
    DriftChecked,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    StorageCollected,
)
from mlops.maintenance.retention import FRESH, Bundles, Inventory, Item, Removal, removals
from mlops.prediction_log.segment import folders
from mlops.project.context import Project
from mlops.project.health import serving_supervisor, tools_supervisor

log = logging.getLogger("mlops")

__all__ = ["collect", "exclusive", "plan", "size_of"]


def plan(project: Project, *, cache: bool = False, now: datetime | None = None) -> list[Removal]:
    """Return what may be deleted, and why; nothing is changed.

    Parameters
    ----------
    cache
        Include objects of DVC's cache that no version of the data, file on disk, branch, tag, experiment
        or registered version of the model needs.

    Raises
    ------
    UsageError
        The cache is outside the project: other projects may need its objects.
    """
    now = now or datetime.now(UTC)
    items = [*removals(inventory(project), project.params.keep, now), *_services(project)]
    return [*items, *_cache(project, now)] if cache else items


def collect(project: Project, *, cache: bool = False, now: datetime | None = None) -> list[Removal]:
    """Delete what `plan` returns now, and record that in the ledger; return what was deleted.

    After a kill, the same call deletes the rest.

    Raises
    ------
    ConflictError
        A training, a deployment or a backup is running, and may need what would be deleted.
    """
    with exclusive(project, "housekeeping", "retrain", "deploy", "reproduce", "tree"):
        removed = plan(project, cache=cache, now=now)
        for removal in removed:
            log.info("remove %s", removal.what)
            for path in removal.paths:
                _remove(path)
        _forget_trees(project)
        for target in project.targets:
            target.prune(keep=project.params.deploy.keep)
        if removed:
            freed = sum(removal.bytes for removal in removed)
            names = tuple(one.what for one in removed[:200])
            project.ledger.record(StorageCollected(removed=names, bytes=freed))
    return removed


@contextmanager
def exclusive(project: Project, *names: str) -> Iterator[None]:
    """Hold locks of the loop, or raise `ConflictError` if another process holds one."""
    with ExitStack() as held:
        for name in names:
            refusal = f"Another process of this project holds the lock {name!r}."
            remedy = "Wait for it (see `mlops status`), and run the command again."
            held.enter_context(project.hold(name, patience=1, refusal=refusal, remedy=remedy))
        yield


def inventory(project: Project) -> Inventory:
    """Return what accumulates in the project's .mlops."""
    home = project.folder.home
    judged = project.ledger.last(DriftChecked)
    moved = (home / "aside").glob("[!.]*")
    return Inventory(
        reports=_list_items((home / "reports").glob("*.html")),
        bundles=_bundles(project),
        rebuilt=_list_items(project.folder.reproductions.glob("[!.]*")),
        logs=_list_items([*_closed_logs(project), *project.folder.searches.glob("*.jsonl")]),
        predictions=[
            Item(month, size_of(month), _end_of(month.name), files)
            for month in folders(project.folder.predictions).parquet.glob("[0-9]*-[0-9]*")
            # Not the folder: a compaction may be about to write into it.
            if (files := sorted(month.glob("*.parquet")))
        ],
        newest_window=judged.as_of if judged else None,
        window=project.params.monitor.window + project.params.monitor.label_maturity,
        quarantine=_list_items((home / "quarantine").glob("[!.]*.jsonl")),
        aside=_list_items(
            [*(path for path in moved if path != project.folder.aside), *project.folder.aside.glob("*")]
        ),
        litter=_list_items(
            path
            for folder, pattern in (
                *((folder, atomic.TEMPORARY) for folder in _written_to(project)),
                (project.folder.bundles, ".fetch-*"),
                (project.folder.reproductions, ".*"),
                (project.folder.attempts, ".*"),
            )
            for path in folder.glob(pattern)
        ),
    )


def _written_to(project: Project) -> Iterator[Path]:
    """Give the folders that files and folders are put into when they are whole."""
    home = project.folder.home
    yield from (home, home / "aside", home / "quarantine", home / "runs", home / "services")
    yield from (project.folder.bundles, project.folder.labels, project.folder.root / ".dvc" / "tmp")


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _bundles(project: Project) -> Bundles:
    ledger, folder = project.ledger, project.folder.bundles
    registered = {e.id: e.record.digest for e in ledger.entries(ModelRegistered)}
    served = [e.record.digest for e in ledger.entries(DeploymentServed)]
    # The previous one too: a rollback may return to it.
    in_use = set(list(dict.fromkeys(reversed(served)))[:2])
    in_use |= {service.digest for target in project.targets for service in target.running(unhealthy=True)}
    started = ledger.last(DeploymentStarted)
    return Bundles(
        local=_list_items(path for path in folder.glob("[0-9a-f]*") if path.is_dir()),
        in_use=frozenset(in_use | ({started.record.digest} if started else set())),
        promoted=[e.record.digest for e in ledger.entries(ModelPromoted)],
        judged={
            registered[e.cause]: e.recorded_at for e in ledger.entries(GateJudged) if e.cause in registered
        },
        registered=frozenset(registered.values()),
    )


def _closed_logs(project: Project) -> set[Path]:
    """Return the logs that no running supervisor or part writes to."""
    supervisors = {"tools": tools_supervisor(project), "serving": serving_supervisor(project)}
    names = {
        name
        for supervisor, one in supervisors.items()
        if (parts := one.pids()) or one.pid()
        for name in (supervisor, *parts)
    }
    folder = project.folder.home / "logs"
    return set(folder.glob("*.log*")) - {folder / f"{name}.log" for name in names}


def _services(project: Project) -> Iterator[Removal]:
    keep = project.params.deploy.keep
    for target in project.targets:
        for name in target.prune(keep=keep, dry=True):
            yield Removal(name, f"beyond the newest {keep} (deploy.keep)")


def _cache(project: Project, now: datetime) -> Iterator[Removal]:
    from mlops.adapters.dvc.cache import unfinished_files
    from mlops.adapters.dvc.tree import DvcTree
    from mlops.project.data_log import reachable

    log.info("scanning DVC's cache for objects that no version needs")
    root, worktree = project.folder.root, project.folder.worktree
    tree = DvcTree(root)
    if not tree.cache().resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"DVC's cache at {tree.cache()} is outside the project, and may be shared.",
            remedy="Name all projects that use it: `dvc gc --all-branches --all-tags --projects FOLDER ...`.",
        )
    commits = [entry.record.commit for entry in project.ledger.entries(ModelRegistered)]
    trees = [worktree, *project.folder.reproductions.glob("[!.]*")]
    beside = [DvcTree(other) for other in trees if (other / ".dvc").is_dir()]
    spare = tree.objects(commits, reachable(project), beside=beside).spare
    yield from _cached(spare, "no version, branch or tag needs them")
    yield from _cached(unfinished_files(tree.cache(), now - FRESH), "left by a killed process")


def _cached(files: Sequence[Path], reason: str) -> Iterator[Removal]:
    if files:
        size = sum(size_of(file) for file in files)
        yield Removal(f"{len(files)} objects of DVC's cache", reason, size, tuple(files))


def _list_items(paths: Iterable[Path]) -> list[Item]:
    items = []
    for path in paths:
        with suppress(FileNotFoundError):  # removed since it was listed
            stat = path.stat()
            # A copied folder has the mtime of its source; its ctime is that of its renaming.
            at = stat.st_ctime if path.is_dir() else stat.st_mtime
            items.append(Item(path, size_of(path), datetime.fromtimestamp(at, UTC)))
    return items


def _end_of(month: str) -> datetime:
    year, number = int(month[:4]), int(month[5:7])
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _forget_trees(project: Project) -> None:
    """Prune git's entries of deleted work trees."""
    from mlops.adapters.git.scratch import Scratch

    for folder in (project.folder.reproductions, project.folder.attempts):
        if folder.is_dir():
            Scratch(project.folder.root, folder).prune_worktrees()


def _remove(path: Path) -> None:
    """Remove a file or a folder; killed midway, no folder is there in part under its own name."""
    try:
        if path.is_dir():
            leaving = atomic.temporary(path)
            path.rename(leaving)
            shutil.rmtree(leaving)
        else:
            path.unlink(missing_ok=True)
    except OSError as exc:
        raise MlopsError(f"{path} cannot be removed: {exc.strerror}.", remedy="Check its owner.") from exc
