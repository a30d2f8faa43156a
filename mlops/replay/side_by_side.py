"""Several policies over one timeline, each in a process of its own, and resumed after a kill."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.files import atomic, hashing
from mlops.replay.fit_cache import Disk
from mlops.replay.fits import Fits
from mlops.replay.played import Played, Replayed
from mlops.replay.player import play
from mlops.replay.policies import parse_policy

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.replay.player import Progress
    from mlops.replay.timeline import Timeline
    from mlops.training.out_of_fold import Recipe

__all__ = ["Candidate", "replay_all"]

_FORMAT = 1
_PACE = 3.0
"""Seconds between two lines of progress of one policy."""


@dataclass(frozen=True)
class Candidate:
    """A policy to play.

    Parameters
    ----------
    policy
        As `mlops.replay.policies.parse_policy` reads it.
    settings
        What was changed in `params` for it, by path.
    """

    policy: str
    params: Params
    recipe: Recipe
    settings: tuple[tuple[str, str], ...] = ()

    def digest(self, edges: Sequence[datetime]) -> str:
        """Name everything that decides what comes of it, but for the rows."""
        sections = {"data", "model", "train", "gate", "monitor", "retrain", "schedule"}
        return hashing.of_value(
            [
                _FORMAT,
                self.policy,
                dict(self.settings),
                self.params.model_dump(mode="json", include=sections, exclude={"data": {"source"}}),
                hashing.of_bytes(self.recipe.source),
                dict(self.recipe.params),
                [edge.isoformat() for edge in edges],
            ]
        )


def replay_all(
    candidates: Sequence[Candidate],
    timeline: Timeline,
    *,
    edges: Sequence[datetime],
    folder: Path,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Replayed:
    """Play each policy, several at once where there are cores; what an earlier run finished is read.

    Parameters
    ----------
    edges
        See `mlops.replay.player.play`.
    folder
        Where results are kept, and fits until every policy has been played.
    workers
        How many processes; default: one a core, at most one a policy.
    on_progress
        Is passed lines; must be picklable.

    Raises
    ------
    MlopsError
        A policy cannot be played.
    """
    from joblib import Parallel, delayed

    home = folder / hashing.of_value([_digest(timeline), timeline.delay.total_seconds()])[:16]
    home.mkdir(parents=True, exist_ok=True)
    for other in set(folder.iterdir()) - {home}:
        Disk(other / "fits").clear()  # of a replay that was killed, whose rows have changed since
    results: dict[int, Played] = {}
    for number, candidate in enumerate(candidates):
        if (known := _read(home / f"{candidate.digest(edges)[:32]}.json")) is not None:
            results[number] = known
    todo = [number for number in range(len(candidates)) if number not in results]
    task = partial(_play, timeline=timeline, edges=edges, home=home, on_progress=on_progress)
    count = min(workers or _cores(), len(todo))
    if count <= 1:
        results |= {number: task(candidates[number]) for number in todo}
    else:
        made = Parallel(n_jobs=count, backend="loky")(delayed(task)(candidates[number]) for number in todo)
        results |= dict(zip(todo, made, strict=True))
    Disk(home / "fits").clear()
    metric = candidates[0].params.gate.metric
    return Replayed(metric, tuple(results[number] for number in range(len(candidates))))


@dataclass
class _Paced:
    """Passes on a line now and then."""

    target: Callable[[str], None]
    last: float = field(default_factory=time.monotonic)

    def __call__(self, line: str) -> None:
        if time.monotonic() - self.last >= _PACE:
            self.last = time.monotonic()
            self.target(line)


def _play(
    candidate: Candidate,
    *,
    timeline: Timeline,
    edges: Sequence[datetime],
    home: Path,
    on_progress: Progress | None,
) -> Played:
    from joblib import parallel_config

    candidate.recipe.build()  # in this process too it registers what the project brings
    fits = Fits(timeline, candidate.recipe, Disk(home / "fits"))
    progress: dict[str, Any] = {} if on_progress is None else {"on_progress": _Paced(on_progress)}
    with parallel_config(backend="sequential"):
        played = play(
            parse_policy(candidate.policy, candidate.params),
            timeline,
            candidate.params,
            fits,
            edges=edges,
            settings=candidate.settings,
            **progress,
        )
    path = home / f"{candidate.digest(edges)[:32]}.json"
    atomic.write_text(path, json.dumps({"format": _FORMAT, "played": played.to_dict()}))
    return played


def _read(path: Path) -> Played | None:
    try:
        value: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return Played.from_dict(value["played"]) if value["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # played again


def _digest(timeline: Timeline) -> str:
    import pandas as pd

    rows = timeline.rows
    hashes = np.asarray(pd.util.hash_pandas_object(rows, index=False), np.uint64)
    return hashing.of_value(
        [{name: str(type) for name, type in rows.dtypes.items()}, hashing.of_bytes(hashes.tobytes())]
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
