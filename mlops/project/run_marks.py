"""Run marks: which process of which machine runs a flow.

A process that runs one of our flows writes its mark before the first task starts: a small file, named
after the flow run. A mark whose process is gone shows that nothing will end the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from mlops.adapters.processes import process_id
from mlops.files import atomic, formats, private

__all__ = ["Mark", "mark_all_dead", "marks", "write"]

_FORMAT = 1


@dataclass(frozen=True)
class Mark:
    """Which process runs a flow.

    Parameters
    ----------
    run
        The flow run's id in Prefect.
    host
        The machine's name, from `mlops.adapters.processes.process_id`.
    process
        Its name from `mlops.adapters.processes.process_id`; None if it is known to be gone.
    """

    run: str
    host: str
    process: str | None
    file: Path

    @property
    def is_dead(self) -> bool:
        """Whether the process ran on this machine and is gone."""
        return self.process is None or (
            self.host == process_id.machine() and process_id.find(self.process) is None
        )


def write(home: Path, run: str) -> None:
    """Write the mark of the flow run that this process executes."""
    file = home / "runs" / f"{run}.json"
    text = _text(process_id.machine(), process_id.name(psutil.Process()))
    with suppress(FileNotFoundError):
        if file.read_text("utf-8") == text:
            return
    private.create_folder(file.parent.parent)
    private.create_folder(file.parent)
    atomic.write_text(file, text)


def mark_all_dead(home: Path) -> None:
    """Record for every marked run that its process is gone, as after `home` was restored from a backup."""
    for mark in list(marks(home)):
        atomic.write_text(mark.file, _text(mark.host, None))


def marks(home: Path) -> Iterator[Mark]:
    """Yield the marks that were left here.

    Raises
    ------
    FormatError
        One is of a format that is not known here.
    """
    for file in sorted((home / "runs").glob("*.json")):
        with suppress(FileNotFoundError, ValueError):
            content = formats.from_json(file.read_text("utf-8"), _FORMAT, where=str(file))
            yield Mark(run=file.stem, host=content["host"], process=content["process"], file=file)


def _text(host: str, process: str | None) -> str:
    return formats.to_json({"host": host, "process": process}, _FORMAT)
