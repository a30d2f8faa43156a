"""Retention: what of all that gathers on a machine may go, by the rules of `keep` in params.yaml.

What serves, what could serve again in a moment and what no other place has are never among it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from mlops.config.params import KeepParams

__all__ = ["FRESH", "Bundles", "Inventory", "Item", "Removal", "removals"]

FRESH = timedelta(hours=1)
"""Nothing younger is judged: somebody may be making it, and has told nobody yet."""
_UNREGISTERED = timedelta(days=1)


@dataclass(frozen=True)
class Item:
    """A file or folder on this machine.

    Parameters
    ----------
    at
        When it came or was last written; of a month of predictions, the month's end.
    files
        What of a folder may go; the folder itself where none is named.
    """

    path: Path
    bytes: int
    at: datetime
    files: Sequence[Path] = ()


@dataclass(frozen=True)
class Bundles:
    """The bundles that are here, named by digest, and what is known of each.

    Parameters
    ----------
    in_use
        Digests that serve, served just before or are about to.
    promoted
        Digests in the order of their promotions.
    judged
        Digest → when the gate last judged it.
    registered
        Digests that can be had from the registry again.
    """

    here: Sequence[Item] = ()
    in_use: frozenset[str] = frozenset()
    promoted: Sequence[str] = ()
    judged: Mapping[str, datetime] = field(default_factory=dict)
    registered: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inventory:
    """What lies on this machine and grows.

    Parameters
    ----------
    rebuilt
        Work trees in which a version was made again.
    logs
        Those that no process has open, and what killed searches have tried.
    predictions
        One item a month of event time.
    present
        The end of the newest window judged, event time; None before the first.
    window
        How far before `present` the next judgement may still read.
    quarantine
        Files of rows that broke the contract.
    aside
        What was put out of the way, since somebody may miss it.
    litter
        What killed processes left half-done.
    """

    reports: Sequence[Item] = ()
    bundles: Bundles = field(default_factory=Bundles)
    rebuilt: Sequence[Item] = ()
    logs: Sequence[Item] = ()
    predictions: Sequence[Item] = ()
    present: datetime | None = None
    window: timedelta = timedelta()
    quarantine: Sequence[Item] = ()
    aside: Sequence[Item] = ()
    litter: Sequence[Item] = ()


@dataclass(frozen=True)
class Removal:
    """Something that may go.

    Parameters
    ----------
    what
        As a person knows it.
    reason
        The rule by which it goes.
    bytes
        What that frees; 0 where it is not known.
    paths
        The files and folders; none where another program holds the thing.
    """

    what: str
    reason: str
    bytes: int = 0
    paths: Sequence[Path] = ()


def removals(inventory: Inventory, keep: KeepParams, now: datetime) -> list[Removal]:
    """Return what `keep` lets go of, by kind and then by age.

    Parameters
    ----------
    now
        The wall clock.
    """
    return [
        *_reports(inventory.reports, keep.reports),
        *_bundles(inventory.bundles, keep, now),
        *_older(inventory.rebuilt, "work tree", now - keep.rebuilt, _of_rebuilt(keep)),
        *_older(inventory.logs, "log", now - keep.logs, f"not written for {_days(keep.logs)} (keep.logs)"),
        *_predictions(inventory, keep, now),
        *_kept_for(inventory.quarantine, "quarantine", keep.quarantine, now),
        *_kept_for(inventory.aside, "aside", keep.aside, now),
        *_older(inventory.litter, "litter", now - FRESH, "left by a process that was killed"),
    ]


def _reports(reports: Sequence[Item], most: int) -> Iterator[Removal]:
    newest_first = sorted(reports, key=lambda item: (item.at, item.path), reverse=True)
    for item in newest_first[: most - 1 : -1]:
        yield _removal(item, "report", f"beyond the newest {most} (keep.reports); MLflow has it")


def _bundles(bundles: Bundles, keep: KeepParams, now: datetime) -> Iterator[Removal]:
    stay = bundles.in_use | set(bundles.promoted[-keep.bundles :])
    stay |= {digest for digest, at in bundles.judged.items() if now - at < keep.judged}
    for item in sorted(bundles.here, key=_age):
        known = item.path.name in bundles.registered
        if item.path.name in stay or now - item.at < (FRESH if known else _UNREGISTERED):
            continue
        if not known:
            yield _removal(item, "bundle", "never registered: the training that made it was killed")
        else:
            why = f"not among the last {keep.bundles} promotions (keep.bundles)"
            yield _removal(item, "bundle", f"{why}; MLflow has it")


def _predictions(inventory: Inventory, keep: KeepParams, now: datetime) -> Iterator[Removal]:
    if keep.predictions is None or inventory.present is None:
        return
    # A client may have told a time to come: neither it nor a judgement of it makes the rest old.
    before = min(inventory.present, now) - max(keep.predictions, inventory.window)
    yield from _older(
        inventory.predictions,
        "predictions",
        before,
        f"event time before {before:%Y-%m-%d} (keep.predictions)",
    )


def _kept_for(items: Sequence[Item], name: str, time: timedelta | None, now: datetime) -> Iterator[Removal]:
    if time is not None:
        yield from _older(items, name, now - time, f"put there over {_days(time)} ago (keep.{name})")


def _older(items: Sequence[Item], what: str, before: datetime, reason: str) -> Iterator[Removal]:
    for item in sorted(items, key=_age):
        if item.at < before:
            yield _removal(item, what, reason)


def _age(item: Item) -> tuple[datetime, Path]:
    return item.at, item.path


def _removal(item: Item, what: str, reason: str) -> Removal:
    return Removal(f"{what} {item.path.name[:40]}", reason, item.bytes, item.files or (item.path,))


def _of_rebuilt(keep: KeepParams) -> str:
    return f"made again over {_days(keep.rebuilt)} ago (keep.rebuilt); `mlops reproduce` makes it anew"


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):g} days"
