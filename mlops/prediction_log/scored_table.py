"""Batch scoring: a table with its predictions, each with a deterministic prediction id."""

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

    from mlops.task_types.predictions import Predictions

__all__ = ["Scoring", "add_predictions", "resolve_destination"]


@dataclass(frozen=True)
class Scoring:
    """One file, scored by one promoted version.

    Parameters
    ----------
    project
        The project's name.
    content
        The sha256 of the source.
    promotion
        The ledger's id of the promotion of the model.
    """

    project: str
    source: Path
    destination: Path
    content: str
    promotion: str
    version: str

    @property
    def digest(self) -> str:
        """A hash of the content and the promotion, independent of paths."""
        return hashing.of_value([self.content, self.promotion])

    @property
    def deployment(self) -> str:
        """The deployment's name in the prediction log."""
        return f"{self.project}-v{self.version}-score-{self.digest[:12]}"

    def ids(self, first: int, rows: int) -> list[str]:
        """Return the prediction ids of `rows` rows from row `first` on, the same in each attempt."""
        return [f"{self.digest[:16]}{row:016x}" for row in range(first, first + rows)]


def resolve_destination(path: Path, source_path: Path, version: str) -> Path:
    """Return the file to write: `path`, or a file in it where it is a folder.

    A path is a folder where one exists or it has no suffix. The file in it is named after the source
    and the version, and has the source's format.

    Raises
    ------
    UsageError
        It is the source itself, or its suffix names no format.
    """
    if path.is_dir() or not path.suffix:
        path = path / f"{readers.stem(source_path)}-v{version}.{readers.format_of(source_path)}"
    destination.check(path)
    if path.resolve() == source_path.resolve():
        raise UsageError(f"{path} is the table to score.", remedy="Choose another destination.")
    return path


def add_predictions(
    frame: pd.DataFrame,
    predicted: Predictions,
    classes: Sequence[Any] | None,
    *,
    ids: Sequence[str],
    version: str,
) -> pd.DataFrame:
    """Return the rows with their predictions in further columns.

    ``prediction``; ``score``, the probability of the second class, or ``score_<class>`` for each of
    more than two, none for a regression; ``prediction_id``; ``model_version``.

    Raises
    ------
    DataError
        The table has a column of such a name.
    """
    columns: dict[str, Any] = {"prediction": predicted.values}
    if classes is not None and predicted.scores is not None:
        if len(classes) == 2:
            columns["score"] = predicted.scores
        else:
            per_class = zip(classes, zip(*predicted.scores, strict=True), strict=True)
            columns |= {f"score_{name}": list(scores) for name, scores in per_class}
    columns |= {"prediction_id": list(ids), "model_version": version}
    if existing := [name for name in columns if name in frame]:
        raise DataError(
            f"The table already has a column {shown(existing)}, which scoring writes.",
            remedy="Rename it, or score the original table.",
        )
    return frame.assign(**columns)
