"""The rows of a project with the labels that came, whether they were ingested or served."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlops.config.paths import LAKE

if TYPE_CHECKING:
    import pandas as pd

    from mlops.project.context import Project

__all__ = ["labelled_history"]


def labelled_history(project: Project) -> pd.DataFrame:
    """Return the rows of the lake, and, where a key tells them apart, those served that have a label."""
    import pandas as pd

    from mlops.data.lake import Lake
    from mlops.monitoring.retraining import trainable_rows
    from mlops.prediction_log import label_log, reader
    from mlops.tables.conform import conform, in_order

    schema, folder = project.schema, project.folder
    lake = Lake((project.tree or folder.root) / LAKE, project.params.data.on_duplicate).read(schema)
    if schema.key is None:
        return lake
    joined = label_log.join(reader.read(folder.predictions, schema), label_log.read(folder.labels), schema)
    if joined.empty:
        return lake
    served = trainable_rows(lake, joined, schema, as_of=datetime.now(UTC), maturity=timedelta(0)).new_rows
    if served.empty:
        return lake
    known = lake[~lake[schema.key].isin(served[schema.key])]
    return in_order(conform(pd.concat([known, served]), schema), schema).reset_index(drop=True)
