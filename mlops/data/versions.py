"""Which data and which commit: the names a decision walks back to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlops.config.paths import LAKE
from mlops.errors import ConfigError, ConflictError, DataError
from mlops.files import yaml

__all__ = [
    "Commit",
    "DatasetVersion",
    "Merged",
    "Reproduced",
    "merge",
    "place",
    "pointed",
    "raw_folder",
    "read_pointer",
]


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
    pointer names them and `rows` their number of rows, both where known.
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


@dataclass(frozen=True)
class Merged:
    """The changes that merge another version into a folder.

    `added` gives the md5 of each file that it lacks, by name; `removed` names those to be taken out.
    """

    added: Mapping[str, str]
    removed: tuple[str, ...]


def merge(ours: Mapping[str, str], theirs: Mapping[str, str], base: Mapping[str, str], path: str) -> Merged:
    """Bring together what two sides made of a folder that began as `base`.

    What either added stays; what they have removed since is removed here, too. What both sides ingested
    has a name of its own in each: the same bytes in one place are one file.

    Parameters
    ----------
    ours, theirs, base
        The md5 of each file by its name.
    path
        What to call the folder.

    Raises
    ------
    ConflictError
        Both have a file of one name with different content.
    """
    removed = _placed(base) - _placed(theirs)
    remaining = {name: md5 for name, md5 in ours.items() if (place(name), md5) not in removed}
    present = _placed(remaining)
    added: dict[str, str] = {}
    for name, md5 in theirs.items():
        if remaining.get(name, md5) != md5:
            raise ConflictError(
                f"{path}/{name} differs in two versions of the data.",
                remedy="Files of a lake are never rewritten: rename one of them and add it again.",
            )
        if (place(name), md5) not in present:
            added[name] = md5
    return Merged(added, tuple(name for name in ours if name not in remaining))


def raw_folder(batch: int, sha256: str) -> str:
    """Return the folder in `RAW` of a file that came with a batch."""
    return f"{batch:06d}-{sha256[:16]}"


def place(name: str) -> str:
    """Return the folder of a file without the number of its batch, which each tree counts for itself."""
    return re.sub(r"^\d{6}-", "", name.rpartition("/")[0])


def _placed(files: Mapping[str, str]) -> set[tuple[str, str]]:
    return {(place(name), md5) for name, md5 in files.items()}


def pointed(root: Path, path: str = LAKE) -> DatasetVersion | None:
    """Return the version that the pointer to `path` in a tree names, None where there is no pointer.

    Raises
    ------
    DataError
        It cannot be read.
    """
    pointer = root / f"{path}.dvc"
    return read_pointer(pointer.read_text("utf-8"), file=str(pointer)) if pointer.is_file() else None


def read_pointer(text: str, *, commit: str | None = None, file: str = "the .dvc file") -> DatasetVersion:
    """Read a ``.dvc`` file as ``dvc add`` writes it.

    Parameters
    ----------
    file
        What to call it in an error.

    Raises
    ------
    DataError
        It is no such file, as when git left its conflict marks in it, or a kill cut it off.
    """
    try:
        (out,) = yaml.parse(text, file=file)["outs"]
        return DatasetVersion(md5=str(out["md5"]), files=int(out.get("nfiles", 1)), commit=commit)
    except (ConfigError, KeyError, TypeError, ValueError) as exc:
        raise DataError(
            f"A pointer to data cannot be read: {text[:80]!r}.",
            remedy=f"Restore {file} from git, or run `dvc add` on the data again.",
        ) from exc
