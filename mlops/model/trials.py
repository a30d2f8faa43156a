"""A trial: one combination of parameters that a search tried, and how wrong it was."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mlops.files import formats

__all__ = ["Journal", "State", "Trial", "best", "from_csv", "to_csv"]

State = Literal["complete", "pruned", "failed"]

_OURS = ("trial", "state", "loss", "best", "folds", "error")
_PARAMS = "params."
_FORMAT = 1
"""Of a line of the journal."""


@dataclass(frozen=True)
class Trial:
    """What came of one combination of parameters.

    Parameters
    ----------
    number
        From 1.
    state
        ``pruned`` where it was ended before its last fold, ``failed`` where it could not be fitted.
    params
        Those that were searched, by name.
    losses
        Of each fold that was measured, in order.
    error
        What a failed one values.
    """

    number: int
    state: State
    params: Mapping[str, Any]
    losses: tuple[float, ...] = ()
    error: str = ""

    @property
    def loss(self) -> float | None:
        """The mean loss of its folds; None where it failed."""
        return sum(self.losses) / len(self.losses) if self.losses and self.state != "failed" else None


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial of the lowest loss, the first of them; None where none is complete."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return min(complete, key=lambda trial: (trial.loss, trial.number), default=None)


def to_csv(trials: Sequence[Trial]) -> bytes:
    """Return a table of trials, the header alone where there are none; `from_csv` reads it.

    Its columns: ``trial``, ``state``, ``loss``, ``best`` (the lowest loss so far), ``folds`` (each
    one's loss, a space between), ``error``, and ``params.`` with each name.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    sink = io.StringIO()
    table = csv.writer(sink, lineterminator="\n")
    table.writerow([*_OURS, *(f"{_PARAMS}{name}" for name in names)])
    for position, trial in enumerate(trials):
        leader = best(trials[: position + 1])
        lowest = leader.loss if leader else None
        folds = " ".join(map(repr, trial.losses))
        values = [trial.params.get(name) for name in names]
        table.writerow([trial.number, trial.state, trial.loss, lowest, folds, trial.error, *values])
    return sink.getvalue().encode()


def from_csv(table: bytes) -> list[Trial]:
    """Read what `to_csv` wrote; the parameters come as text."""
    return [
        Trial(
            int(row["trial"]),
            row["state"],  # type: ignore[arg-type]  # as it was written
            {name.removeprefix(_PARAMS): text for name, text in row.items() if name.startswith(_PARAMS)},
            tuple(map(float, row["folds"].split())),
            row["error"],
        )
        for row in csv.DictReader(io.StringIO(table.decode()))
    ]


class Journal:
    """The trials that ended, in a file, so that a search which was killed resumes after them.

    Parameters
    ----------
    path
        One line a trial; made with the first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[tuple[Trial, float]]:
        """Return the trials, each with the seconds it took.

        A line that was cut off in the middle is forgotten, and taken out of the file.
        """
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        whole = [line for line in lines if line.endswith(b"\n")]
        if len(whole) < len(lines):
            self._path.write_bytes(b"".join(whole))
        records = [formats.from_json(line, _FORMAT, where=str(self._path)) for line in whole]
        seconds = [one.pop("seconds") for one in records]
        trials = [Trial(**one | {"losses": tuple(one["losses"])}) for one in records]
        return list(zip(trials, seconds, strict=True))

    def add(self, trial: Trial, *, seconds: float) -> None:
        """Keep a trial that has ended."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            line = formats.to_json({**asdict(trial), "seconds": seconds}, _FORMAT)
            file.write(line.encode() + b"\n")

    def remove(self) -> None:
        """Forget the trials: what they led to is kept."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # others' lie there
            self._path.parent.rmdir()
