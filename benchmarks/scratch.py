"""A scratch project on the flights, its servers up, for one benchmark."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.flights import flights

from mlops.adapters.prefect_server.environment import connect
from mlops.config.paths import BUNDLE, LAKE
from mlops.config.project_folder import load_params
from mlops.config.settings import load_settings
from mlops.data.lake import Lake
from mlops.files.ports import free_port
from mlops.model import bundle
from mlops.model.bundle import Bundle
from mlops.orchestration.run_flow import load_flow
from mlops.project.context import Project
from mlops.project.down import down
from mlops.project.up import up
from mlops.scaffold.template import stamp
from mlops.schema import Schema
from mlops.stages.pipeline import STAGES

__all__ = ["run", "running", "trained"]


@contextmanager
def running() -> Iterator[Project]:
    """Stamp a project, start its servers, and end them."""
    with tempfile.TemporaryDirectory(prefix="mlops-benchmark-") as folder:
        root = Path(folder) / "project"
        root.mkdir()
        names = ("GATEWAY_PORT", "GATEWAY_API_PORT", "MLFLOW_PORT", "PREFECT_PORT")
        chosen = {name: free_port() for name in names} | {"BASE_IMAGE": load_settings().base_image}
        (root / ".env").write_text(
            "".join(f"MLOPS_{name}={value}\n" for name, value in chosen.items()), "utf-8"
        )
        stamp(root)
        project = Project.at(root)
        try:
            up(project, on_progress=lambda _: None)
            connect(project.folder)
            yield project
        finally:
            down(project, serving=True)


def trained(folder: Path, *months: int) -> Bundle:
    """Stamp a project into a folder and train on these months by its stages alone, without a server."""
    folder.mkdir()
    stamp(folder)
    Lake(folder / LAKE).append(flights(*months), Schema.from_params(load_params(folder / "params.yaml")))
    for stage in STAGES.values():
        stage(folder)
    return bundle.open(folder / BUNDLE)


def run(project: Project, flow: str, **parameters: Any) -> str:
    """Run one of the project's flows in this process."""
    return str(load_flow(project.folder, flow)(**parameters))
