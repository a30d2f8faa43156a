"""A scored table: a model's answers beside the rows of a file, each under an id known beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import DataError, UsageError, shown
from mlops.files import hashing
from mlops.tables import readers
from mlops.tables import writers as destination

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import pandas as pd

    from mlops.model.predictions import Answers

__all__ = ["Scoring", "beside", "place"]


@dataclass(frozen=True)
class Scoring:
    """One file, answered once by one promoted version.

    Parameters
    ----------
    project
        What the project's data is called.
    content
        The sha256 of the source.
    promotion
        The ledger's id of the promotion whose model answers.
    """

    project: str
    source: Path
    destination: Path
    content: str
    promotion: str
    version: str

    @property
    def digest(self) -> str:
        """Names the content and what answers it; where the files lie has no say."""
        return hashing.of_value([self.content, self.promotion])

    @property
    def deployment(self) -> str:
        """What the prediction log says answered."""
        return f"{self.project}-v{self.version}-score-{self.digest[:12]}"

    def ids(self, first: int, rows: int) -> list[str]:
        """Return the prediction ids of `rows` rows from row `first` on: the same at each attempt."""
        return [f"{self.digest[:16]}{row:016x}" for row in range(first, first + rows)]


def place(wanted: Path, source_path: Path, version: str) -> Path:
    """Return the file to write: `wanted`, or one in it where it is a folder.

    A path is a folder where it exists as one or has no suffix. The file in it is named after the
    source and the version, and is of the source's format.

    Raises
    ------
    UsageError
        It is the source itself, or its name tells no format.
    """
    if wanted.is_dir() or not wanted.suffix:
        wanted = wanted / f"{readers.stem(source_path)}-v{version}.{readers.format_of(source_path)}"
    destination.check(wanted)
    if wanted.resolve() == source_path.resolve():
        raise UsageError(f"{wanted} is the table to be scored.", remedy="Name another destination.")
    return wanted


def beside(
    frame: pd.DataFrame,
    answers: Answers,
    classes: Sequence[Any] | None,
    *,
    ids: Sequence[str],
    version: str,
) -> pd.DataFrame:
    """Return the rows with their answers in further columns.

    ``prediction``; ``score``, the probability of the second class, or ``score_<class>`` for each
    where there are more than two, none for a regression; ``prediction_id``; ``model_version``.

    Raises
    ------
    DataError
        The table has a column of such a name.
    """
    columns: dict[str, Any] = {"prediction": answers.predictions}
    if classes is not None and answers.scores is not None:
        if len(classes) == 2:
            columns["score"] = answers.scores
        else:
            each = zip(classes, zip(*answers.scores, strict=True), strict=True)
            columns |= {f"score_{name}": list(scores) for name, scores in each}
    columns |= {"prediction_id": list(ids), "model_version": version}
    if taken := [name for name in columns if name in frame]:
        raise DataError(
            f"The table has a column {shown(taken)} of its own, where the answers go.",
            remedy="Rename it, or score the table as it was before.",
        )
    return frame.assign(**columns)
