"""What the parts of a loop are started with."""

from __future__ import annotations

from pathlib import Path

from mlops.config.project_folder import find_project
from mlops.project import services
from mlops.project.context import Project

PROJECT = Project(find_project(Path(__file__)))


def test_the_runner_is_another_where_the_project_is_called_otherwise(tmp_path: Path) -> None:
    params = (PROJECT.folder.root / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params.replace("name: flights", "name: trains", 1))
    renamed = Project(find_project(tmp_path, PROJECT.folder.settings))
    assert renamed.params.data.name == "trains"
    before, after = services.runner_part(PROJECT).environment, services.runner_part(renamed).environment
    assert {name for name in after if name != "PREFECT_HOME" and after[name] != before[name]} == {
        "MLOPS_NAME"
    }
