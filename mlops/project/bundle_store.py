"""A project's store of bundles on this machine: a folder each, named by the digest."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mlops.errors import BundleError, FormatError
from mlops.files import atomic
from mlops.model import bundle
from mlops.model.bundle import Bundle

__all__ = ["DAMAGE", "keep", "obtain"]

log = logging.getLogger("mlops")

DAMAGE = (BundleError, FormatError)
"""What opening a bundle raises that is missing, altered, or another."""


def obtain(folder: Path, digest: str, fetch: Callable[[Path], object]) -> Bundle:
    """Return a bundle, fetched if this machine has none, or a damaged one.

    Parameters
    ----------
    folder
        The store.
    fetch
        Fills a folder with it.

    Raises
    ------
    BundleError
        What was fetched is not the bundle that `digest` names.
    """
    kept = folder / digest
    try:
        return bundle.open(kept, digest=digest)
    except DAMAGE as damage:
        if kept.exists():
            log.warning("%s It is fetched again.", damage.message)
        _replace(kept, fetch)
    return bundle.open(kept, digest=digest)


def keep(folder: Path, source: Path) -> Bundle:
    """Copy a newly trained bundle to the store, where that has it not or damaged."""
    digest = bundle.open(source).digest
    return obtain(folder, digest, lambda place: shutil.copytree(source, place))


def _replace(kept: Path, fetch: Callable[[Path], object]) -> None:
    """Fill a folder under another name, and put it in the place of `kept`.

    Killed midway, `kept` is whole or not there.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = atomic.temporary(kept)
    damaged = atomic.temporary(kept.with_name(f"{kept.name}.damaged"))
    atomic.sweep(kept.parent, kept.name)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        fetch(partial)
        # Before it has the digest's name: another one there would stand in its way for good.
        bundle.open(partial, digest=kept.name)
        with suppress(*DAMAGE):
            bundle.open(kept, digest=kept.name)
            return  # another process was first
        with suppress(FileNotFoundError):
            kept.rename(damaged)
        partial.rename(kept)
    except OSError:
        # Another process finished meanwhile: a digest names one content.
        if not kept.is_dir():
            raise
    finally:
        for leftover in (partial, damaged):
            shutil.rmtree(leftover, ignore_errors=True)
