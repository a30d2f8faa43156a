from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.config.project_folder import ProjectFolder
from mlops.config.settings import Settings
from mlops.project.context import Project
from tests.flows.orchard import PARAMS


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with a ledger and nothing in it."""
    params = PARAMS.format(name="plums", hold=tmp_path / "hold", target="process")
    (tmp_path / "params.yaml").write_text(params)
    project = Project(ProjectFolder(tmp_path, Settings()))
    yield project
    project.ledger.close()
