"""The objects of a project's data: the cache, and behind it the remote that can restore it.

DVC serves a cached object that was altered while its mode stayed read-only. Every object read
through here is hashed first; what is altered or missing is named, and restored from the tree's
own files where those are intact, else from the remote.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.adapters.dvc.cache import Objects, listing
from mlops.adapters.dvc.remote import Remote
from mlops.errors import DataError, MlopsError, shown
from mlops.files import atomic
from mlops.files.hashing import md5_of

log = logging.getLogger("mlops")

__all__ = ["Store"]


@dataclass(frozen=True)
class Store:
    """The cache of a project, and its default remote where it has one.

    `root` is the project's tree: what lies in it whole can make the cache whole again.
    """

    root: Path
    objects: Objects
    remote: Remote | None

    def files(self, md5: str, name: str) -> dict[str, str]:
        """Return relative path → md5 of what a version of `name` holds; of a single file, "" → its md5.

        Raises
        ------
        DataError
            The list itself is altered or missing, and no remote has it.
        """
        if not md5.endswith(".dir"):
            return {"": md5}
        self.ensure({md5: f"the list of {name}"})
        return listing(md5, self.objects)

    def ensure(self, wanted: Mapping[str, str]) -> None:
        """Hash the objects with these md5; restore from the remote what is altered or missing.

        Parameters
        ----------
        wanted
            md5 → its name in messages: of a file, its path from the tree's root.

        Raises
        ------
        DataError
            Some of it cannot be restored; it is named.
        """
        damaged = {md5: name for md5, name in wanted.items() if not self._is_whole(md5)}
        if damaged:
            self._bring(damaged)

    def fill(self, wanted: Mapping[str, str]) -> None:
        """Fetch from the remote what is not in the cache at all; what is there is not hashed.

        Raises
        ------
        DataError
            As `ensure`.
        """
        absent = {md5: name for md5, name in wanted.items() if not self.objects(md5).is_file()}
        if absent:
            self._bring(absent)

    def restore(self, folder: Path, md5: str, name: str, *, aside: Path) -> None:
        """Compare `folder` with a version by hash; restore what is altered or missing.

        Parameters
        ----------
        aside
            Where an altered file goes: somebody may have meant the change.

        Raises
        ------
        DataError
            Neither the cache nor a remote has what a file should hold; the file is named.
        """
        files = self.files(md5, name)
        damaged = {path: each for path, each in files.items() if not _holds(folder / path, each)}
        if not damaged:
            return
        self.ensure({each: str(Path(name) / path) for path, each in damaged.items()})
        for path, each in damaged.items():
            self._restore_file(folder / path, each, aside)

    def _restore_file(self, path: Path, md5: str, aside: Path) -> None:
        saved = ""
        if path.exists():
            aside.mkdir(parents=True, exist_ok=True)
            copy = aside / f"{md5_of(path)[:12]}-{path.name}"
            shutil.copyfile(path, copy)
            saved = f"; the altered file is kept as {copy}"
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replaced(path, beside=aside.parent) as partial:  # no litter in the data
            shutil.copyfile(self.objects(md5), partial)
        state = "altered" if saved else "missing"
        log.warning("restored %s, which was %s%s", path, state, saved)

    def _is_whole(self, md5: str) -> bool:
        return _holds(self.objects(md5), md5.removesuffix(".dir"))

    def _bring(self, damaged: Mapping[str, str]) -> None:
        """Replace damaged objects, by the tree's own files where those are intact, else by the remote's."""
        altered = {md5 for md5 in damaged if self.objects(md5).exists()}
        here = {md5: name for md5, name in damaged.items() if _holds(self.root / name, md5)}
        for md5, name in here.items():
            self._keep(self.root / name, md5)
        _log_restored("the files on disk", here.values())
        lost = {md5: name for md5, name in damaged.items() if md5 not in here}
        why = "there is no DVC remote to fetch it from"
        if lost and self.remote is not None:
            lost, why = self._fetch(lost, self.remote)
        if lost:
            first = next(iter(lost))
            state = "altered" if first in altered else "missing"
            raise DataError(
                f"DVC's cache does not hold the recorded {shown(list(lost.values()))} ({state}: md5 "
                f"{first.removesuffix('.dir')}), and {why}.",
                remedy=f"Restore {self.objects(first)} from a backup or another machine's cache, or add "
                "a remote that has it: `dvc remote add --default NAME URL`, then `mlops data pull`.",
            )

    def _fetch(self, damaged: Mapping[str, str], remote: Remote) -> tuple[dict[str, str], str]:
        """Replace objects by the remote's; return those that could not be, and why."""
        for md5 in damaged:
            self.objects(md5).unlink(missing_ok=True)
        try:
            failed = remote.pull(damaged).failed
        except MlopsError as exc:
            return dict(damaged), f"it could not be fetched: {exc.message.rstrip('.')}"
        _log_restored(
            f"the DVC remote {remote.name!r}", [damaged[md5] for md5 in damaged if md5 not in failed]
        )
        why = f"the DVC remote {remote.name!r} has no intact copy: {next(iter(failed.values()), '')}"
        return {md5: name for md5, name in damaged.items() if md5 in failed}, why

    def _keep(self, file: Path, md5: str) -> None:
        """Put an intact file into the cache, read-only as DVC has it there."""
        target = self.objects(md5)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replaced(target) as partial:
            shutil.copyfile(file, partial)
            partial.chmod(0o444)


def _log_restored(source: str, names: Iterable[str]) -> None:
    if restored := shown(list(names)):
        log.warning("restored from %s (corrupt or missing in the DVC cache): %s", source, restored)


def _holds(path: Path, md5: str) -> bool:
    return path.is_file() and md5_of(path) == md5
