"""Name conflicts: another project of the same name on the same MLflow or Prefect.

Two projects with the same name would mix up their runs, versions and schedules. The first commit, which
every clone of a project shares, distinguishes them.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from mlops.adapters.prefect_server.rest import Deployments
from mlops.errors import MlopsError, NameTakenError, UnavailableError
from mlops.net import credentials
from mlops.net.request import get
from mlops.project.context import Project

__all__ = ["check_name_conflict", "owner_tags"]

_OWNER_TAG = "origin:"


def owner_tags(project: Project) -> list[str]:
    """Return the tag that distinguishes this project's deployments in Prefect from a namesake's."""
    return [f"{_OWNER_TAG}{project.origin}"] if project.origin else []


def check_name_conflict(project: Project) -> None:
    """Check that no other project has this one's name on a server that runs elsewhere.

    A server that does not respond passes here: whoever waits for it reports that.

    Raises
    ------
    NameTakenError
        Another project has the name.
    MlopsError
        A server rejected the credentials, or there are none.
    """
    settings, folder, name = project.folder.settings, project.folder, project.params.data.name
    if not project.origin:
        return
    if settings.prefect_api_url and (owner := _in_prefect(project)) not in {"", project.origin}:
        raise NameTakenError("Prefect", folder.prefect_uri, name=name, owner=owner, project=project.origin)
    if settings.mlflow_tracking_uri and (owner := _in_mlflow(project)) not in {"", project.origin}:
        raise NameTakenError("MLflow", folder.mlflow_uri, name=name, owner=owner, project=project.origin)


def _in_prefect(project: Project) -> str:
    """Return the first commit of the project that has deployments of this name; empty if none has."""
    try:
        named = Deployments(project.folder, patience=5).all()
        tags = [tag for deployment in named for tag in deployment["tags"]]
    except UnavailableError:
        return ""
    return next((tag.removeprefix(_OWNER_TAG) for tag in tags if tag.startswith(_OWNER_TAG)), "")


def _in_mlflow(project: Project) -> str:
    """Return the first commit of the project that has an experiment of this name; empty if none has."""
    name = quote(project.params.data.name)
    address = f"{project.folder.mlflow_uri}/api/2.0/mlflow/experiments/get-by-name"
    entry = credentials.for_mlflow(project.folder.settings)
    reply = get(f"{address}?experiment_name={name}", timeout=5, access=entry)
    if reply.unauthorized:
        raise MlopsError(f"MLflow at {project.folder.mlflow_uri}: {reply.problem}.", remedy=entry.remedy)
    try:
        tags = json.loads(reply.body)["experiment"].get("tags", []) if reply.ok else []
    except (ValueError, KeyError, AttributeError):  # another server, not MLflow
        return ""
    return next((str(tag["value"]) for tag in tags if tag["key"] == "mlops.project"), "")
