"""An action in DVC's repository: one process at a time, its errors translated."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from dvc.exceptions import CheckoutError, DvcException
from dvc.lock import LockError
from dvc.logger import set_loggers_level
from dvc.repo import Repo
from dvc.rwlock import RWLockFileCorruptedError
from dvc.scm import SCMError
from filelock import FileLock, Timeout

from mlops.adapters.dvc.metafiles import damaged, reason, written_whole
from mlops.errors import ConflictError, MlopsError, shown

__all__ = ["quiet", "with_repo"]

T = TypeVar("T")


def with_repo(root: Path, doing: str, action: Callable[[Repo], T], *, patience: float) -> T:
    """Do `action` while no other process works in the tree, with DVC's errors translated to ours.

    Parameters
    ----------
    root
        The folder that holds ``.dvc``.
    doing
        What `action` does, for the message of an error: "reproduce the stages".
    patience
        Seconds to wait for another process.

    Raises
    ------
    ConflictError
        Another process held the lock for longer.
    MlopsError
        DVC failed; the message says at what.
    """
    if not (root / ".dvc").is_dir():
        raise MlopsError(f"{root} is not a DVC project.", remedy="Run `dvc init` there.")
    deadline = time.monotonic() + patience
    lock = FileLock(root / ".dvc" / "tmp" / "mlops.lock", timeout=patience)
    try:
        with lock, quiet():
            while True:
                try:
                    # Waits for DVC's own lock where plain DVC gives up after three seconds.
                    with (
                        Repo(str(root), _wait_for_lock=True) as repo,
                        written_whole(root),
                    ):
                        return action(repo)
                except RWLockFileCorruptedError:
                    # A process was killed while it wrote its list of paths in use.
                    (root / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
                except LockError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)
    except (Timeout, LockError) as exc:
        raise ConflictError(
            f"Another process has worked in {root} for {patience:.0f} s.",
            remedy="Wait for it, then run the command again.",
        ) from exc
    except CheckoutError as exc:
        raise MlopsError(
            f"The cache lacks data that {root} names: {shown(exc.target_infos)}.",
            remedy="Fetch it from the remote: `dvc pull`.",
        ) from exc
    except SCMError as exc:
        raise _without_git(root, doing, exc) from exc
    except DvcException as exc:
        error = MlopsError(f"DVC could not {doing} in {root}: {reason(exc)}.")
        raise damaged(root, exc) or error from exc


def _without_git(root: Path, doing: str, exc: SCMError) -> MlopsError:
    """Return the error for a repository that is not there, or with what DVC says of one that is."""
    if any((folder / ".git").exists() for folder in (root, *root.parents)):
        return MlopsError(f"DVC could not {doing}: {str(exc).rstrip('.')}.")
    return MlopsError(
        f"DVC could not {doing}: {root} is not in a git repository, which keeps its versions.",
        remedy="Restore its .git, or run `git init` there.",
    )


def quiet() -> AbstractContextManager[None]:
    """Keep DVC's own log off the terminal."""
    # DVC writes what it does on stdout and draws bars; what went wrong comes as an exception.
    return set_loggers_level(logging.CRITICAL)  # type: ignore[no-any-return]
