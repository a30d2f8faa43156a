"""Versions of the lake, read from DVC's cache; the tree is unchanged."""

from __future__ import annotations

from mlops.adapters.dvc.tree import DvcTree
from mlops.config.paths import LAKE
from mlops.data.snapshot import Snapshot
from mlops.project.context import Project
from mlops.project.data_log import Chosen

__all__ = ["snapshots"]


def snapshots(project: Project, *chosen: Chosen) -> list[Snapshot]:
    """Return versions of the lake; objects missing or corrupt in the cache come from the DVC remote.

    Raises
    ------
    DataError
        Neither has it.
    """
    store = DvcTree(project.folder.root).store()
    listed = [store.files(each.version.md5, LAKE) for each in chosen]
    store.ensure({md5: f"{LAKE}/{name}" for files in listed for name, md5 in files.items()})
    schema, rule = project.schema, project.params.data.on_duplicate
    return [
        Snapshot(
            {name: store.objects(md5) for name, md5 in files.items()},
            time=schema.time,
            target=schema.target,
            on_duplicate=rule,
        )
        for files in listed
    ]
