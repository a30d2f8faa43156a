"""The versions of a project's data, as DataFrames."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mlops.project.context import Project

__all__ = ["ProjectData"]


@dataclass(frozen=True)
class ProjectData:
    """The versions of a project's data: ``project.data``."""

    project: Project

    def log(self) -> pd.DataFrame:
        """Return the versions of the data, newest first: those of the current branch and of the loop's.

        Returns
        -------
        DataFrame
            A row per version, which is the index, named as DVC names it: its ``files`` and ``rows``,
            the rows it ``added``, the ``commit`` that first names it with the time ``at`` (UTC) and its
            ``message``, the ``branches`` that hold it, the ``models`` trained on it, and whether it is
            ``current``, which is checked out. What is not known is missing.
        """
        import pandas as pd

        from mlops.data.history import Recorded
        from mlops.project.data_log import versions

        names = [field.name for field in fields(Recorded)]
        frame = pd.DataFrame([asdict(one) for one in versions(self.project)], columns=names)
        frame["at"] = pd.to_datetime(frame["at"], utc=True)
        return frame.astype({"added": "Int64", "rows": "Int64"}).set_index("md5")

    def read(self, version: str | None = None) -> pd.DataFrame:
        """Return the rows of a version of the data; what is checked out stays as it is.

        They are read from DVC's cache; what it lacks or holds altered comes from the DVC remote.

        Parameters
        ----------
        version
            The beginning of its name, a revision of git, or ``model:3`` for what version 3 of the
            model was trained on; what is checked out where there is none.

        Returns
        -------
        DataFrame
            A row per key, the one that counts; by time and key. The columns that params.yaml names are
            typed as training reads them, or as they are stored where they hold something else.

        Raises
        ------
        mlops.errors.UsageError
            There is no such version, or several. See which there are with `log`.
        mlops.errors.DataError
            There is no data yet, or neither the cache nor the remote has it.
        """
        from mlops.project.data_log import choose
        from mlops.project.data_snapshot import snapshots
        from mlops.tables.conform import in_order, typed_or_stored

        (snapshot,) = snapshots(self.project, choose(self.project, version))
        schema = self.project.schema
        names = [*schema.named, *(name for name in snapshot.types if name not in schema.named)]
        frame = snapshot.read(names)
        if schema.key is not None and schema.key in snapshot.types:
            frame = frame[snapshot.current_rows(schema.key)]
        return in_order(typed_or_stored(frame, schema), schema).reset_index(drop=True)
