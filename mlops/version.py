"""Which data and which commit: the names a decision walks back to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import yaml

from mlops.errors import DataError

__all__ = ["Commit", "DatasetVersion", "Reproduced", "read_pointer"]


@dataclass(frozen=True)
class Commit:
    """One commit of the project's history.

    `at` is the committer's time, UTC.
    """

    sha: str
    parents: tuple[str, ...]
    at: datetime
    message: str


@dataclass(frozen=True)
class DatasetVersion:
    """The bytes of a folder or file that DVC tracks.

    `md5` is DVC's own name for them, with ``.dir`` at the end for a folder. `commit` is one whose
    pointer names them and `rows` how many they hold, where somebody looked.
    """

    md5: str
    files: int
    commit: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Reproduced:
    """What bringing a project's stages up to date took.

    `ran` names the stages whose command ran, `skipped` those that had nothing to do or whose
    outputs the run cache knew; both in the graph's order. `lock_sha` is the sha256 of dvc.lock as
    it then was: equal hashes, equal results.
    """

    ran: tuple[str, ...]
    skipped: tuple[str, ...]
    lock_sha: str
    data_md5: str | None


def read_pointer(text: str, *, commit: str | None = None) -> DatasetVersion:
    """Read a ``.dvc`` file as ``dvc add`` writes it.

    Raises
    ------
    DataError
        It is no such file, as when git left its conflict marks in it.
    """
    try:
        (out,) = yaml.safe_load(text)["outs"]
        return DatasetVersion(md5=str(out["md5"]), files=int(out.get("nfiles", 1)), commit=commit)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as exc:
        raise DataError(
            f"A pointer to data cannot be read: {text[:80]!r}.",
            remedy="Restore the .dvc file from git, or run `dvc add` on the data again.",
        ) from exc
