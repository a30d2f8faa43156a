"""Retention: which files may be deleted, by the rules of `keep` in params.yaml.

Never deleted: what serves, what a rollback needs at once, and what exists nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from mlops.config.params import KeepParams

__all__ = ["FRESH", "Bundles", "Inventory", "Item", "Removal", "removals"]

FRESH = timedelta(hours=1)
"""Younger files are never deleted: a process may still be writing them."""
_UNREGISTERED = timedelta(days=1)


@dataclass(frozen=True)
class Item:
    """A file or folder on this machine.

    Parameters
    ----------
    at
        When it was created or last written; for a month of predictions, the month's end.
    files
        Files of a folder to delete; empty for the whole folder.
    """

    path: Path
    bytes: int
    at: datetime
    files: Sequence[Path] = ()


@dataclass(frozen=True)
class Bundles:
    """The bundles on this machine, and their uses.

    Parameters
    ----------
    local
        The bundles' folders, named by digest.
    in_use
        Digests of the current, previous and next deployment.
    promoted
        Digests in the order of their promotions.
    judged
        Digest → time of its last gate decision.
    registered
        Digests that the registry has.
    """

    local: Sequence[Item] = ()
    in_use: frozenset[str] = frozenset()
    promoted: Sequence[str] = ()
    judged: Mapping[str, datetime] = field(default_factory=dict)
    registered: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inventory:
    """The files on this machine that accumulate.

    Parameters
    ----------
    rebuilt
        Work trees of `mlops reproduce`.
    logs
        Logs that no process has open, and journals of killed searches.
    predictions
        One item per month of event time.
    newest_window
        End of the newest monitored window, event time; None before the first.
    window
        How far before `newest_window` the next monitoring may still read.
    quarantine
        Files of rows that violate the contract.
    aside
        Files that were moved out of the way instead of deleted.
    litter
        Partial files of killed processes.
    """

    reports: Sequence[Item] = ()
    bundles: Bundles = field(default_factory=Bundles)
    rebuilt: Sequence[Item] = ()
    logs: Sequence[Item] = ()
    predictions: Sequence[Item] = ()
    newest_window: datetime | None = None
    window: timedelta = timedelta()
    quarantine: Sequence[Item] = ()
    aside: Sequence[Item] = ()
    litter: Sequence[Item] = ()


@dataclass(frozen=True)
class Removal:
    """Something to delete.

    Parameters
    ----------
    what
        Its name for messages.
    reason
        The rule that applies.
    bytes
        Freed space; 0 where unknown.
    paths
        The files and folders; empty where another program deletes it.
    """

    what: str
    reason: str
    bytes: int = 0
    paths: Sequence[Path] = ()


def removals(inventory: Inventory, keep: KeepParams, now: datetime) -> list[Removal]:
    """Return what to delete by the rules of `keep`, by kind and then by age.

    Parameters
    ----------
    now
        The wall clock.
    """
    return [
        *_reports(inventory.reports, keep.reports),
        *_bundles(inventory.bundles, keep, now),
        *_older(inventory.rebuilt, "work tree", now - keep.rebuilt, _rebuilt_reason(keep)),
        *_older(inventory.logs, "log", now - keep.logs, f"not written for {_days(keep.logs)} (keep.logs)"),
        *_predictions(inventory, keep, now),
        *_expired(inventory.quarantine, "quarantine", keep.quarantine, now),
        *_expired(inventory.aside, "aside", keep.aside, now),
        *_older(inventory.litter, "litter", now - FRESH, "left by a killed process"),
    ]


def _reports(reports: Sequence[Item], most: int) -> Iterator[Removal]:
    newest_first = sorted(reports, key=lambda item: (item.at, item.path), reverse=True)
    for item in newest_first[: most - 1 : -1]:
        yield _removal(item, "report", f"beyond the newest {most} (keep.reports); MLflow has it")


def _bundles(bundles: Bundles, keep: KeepParams, now: datetime) -> Iterator[Removal]:
    needed = bundles.in_use | set(bundles.promoted[-keep.bundles :])
    needed |= {digest for digest, at in bundles.judged.items() if now - at < keep.judged}
    for item in sorted(bundles.local, key=_age):
        registered = item.path.name in bundles.registered
        if item.path.name in needed or now - item.at < (FRESH if registered else _UNREGISTERED):
            continue
        if not registered:
            yield _removal(item, "bundle", "never registered: its training was killed")
        else:
            reason = f"not among the last {keep.bundles} promotions (keep.bundles)"
            yield _removal(item, "bundle", f"{reason}; MLflow has it")


def _predictions(inventory: Inventory, keep: KeepParams, now: datetime) -> Iterator[Removal]:
    if keep.predictions is None or inventory.newest_window is None:
        return
    # A client may send an event time in the future: it must not make all other rows old.
    before = min(inventory.newest_window, now) - max(keep.predictions, inventory.window)
    yield from _older(
        inventory.predictions,
        "predictions",
        before,
        f"event time before {before:%Y-%m-%d} (keep.predictions)",
    )


def _expired(items: Sequence[Item], name: str, time: timedelta | None, now: datetime) -> Iterator[Removal]:
    if time is not None:
        yield from _older(items, name, now - time, f"older than {_days(time)} (keep.{name})")


def _older(items: Sequence[Item], what: str, before: datetime, reason: str) -> Iterator[Removal]:
    for item in sorted(items, key=_age):
        if item.at < before:
            yield _removal(item, what, reason)


def _age(item: Item) -> tuple[datetime, Path]:
    return item.at, item.path


def _removal(item: Item, what: str, reason: str) -> Removal:
    return Removal(f"{what} {item.path.name[:40]}", reason, item.bytes, item.files or (item.path,))


def _rebuilt_reason(keep: KeepParams) -> str:
    return f"older than {_days(keep.rebuilt)} (keep.rebuilt); `mlops reproduce` creates it again"


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):g} days"
