"""A project's store of bundles on this machine: a folder each, named by the digest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops.files import atomic
from mlops.model import bundle
from mlops.model.bundle import Bundle

__all__ = ["keep", "obtain"]


def obtain(folder: Path, digest: str, fetch: Callable[[Path], object]) -> Bundle:
    """Return a bundle, fetched if it is not on this machine.

    Parameters
    ----------
    folder
        The store.
    fetch
        Fills a folder with it.
    """
    kept = folder / digest
    if not kept.is_dir():
        with _partial(kept) as partial:
            fetch(partial)
            # Before it has the digest's name: another one there would stand in its way for good.
            bundle.open(partial, digest=digest)
    return bundle.open(kept, digest=digest)


def keep(folder: Path, source: Path) -> Bundle:
    """Copy a newly trained bundle to the store."""
    digest = bundle.open(source).digest
    kept = folder / digest
    if not kept.is_dir():
        with _partial(kept) as partial:
            shutil.copytree(source, partial)
    return bundle.open(kept, digest=digest)


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """Fill a folder under another name: killed midway, the folder itself never exists in part."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = atomic.temporary(folder)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
        partial.rename(folder)
    except OSError:
        # Another process finished first: a digest names one content.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
