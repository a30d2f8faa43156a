"""Deploy a promoted version behind the gateway, with intent and outcome in the ledger."""

from __future__ import annotations

import logging
from pathlib import Path

from mlops.adapters.mlflow.links import version_page
from mlops.deployment.rollout import Serving
from mlops.errors import MlopsError
from mlops.ledger.entry import Entry
from mlops.ledger.records import DeploymentServed, ModelMarked, ModelPromoted
from mlops.model.registry import CHAMPION
from mlops.orchestration import artifacts
from mlops.orchestration.task import step
from mlops.project.context import Project
from mlops.project.deploy import deployment_id, roll_out, serving

__all__ = ["deploy"]

log = logging.getLogger("mlops")


@step(name="deploy behind the gateway", timeout=600)
def deploy(root: Path, promoted: Entry[ModelPromoted]) -> Entry[DeploymentServed]:
    """Start the version beside the current deployment, and switch when it is ready.

    If another version was promoted meanwhile, that one is deployed.

    Returns
    -------
    The ledger's ``deployment.served``: id, version, digest, target. If that version already serves
    with the settings of params.yaml and the environment, the existing entry.

    Raises
    ------
    UnavailableError
        The engine or the gateway does not respond, or the model never became ready. What
        served before still does.
    """
    project = Project.at(root)
    with project.lock("deploy"):
        if (champion := project.promoted()).id != promoted.id:
            log.info("version %s was promoted meanwhile", champion.record.version)
        running = serving(project)
        if running is None or running[1].id != deployment_id(project, champion):
            running = roll_out(project, champion)
            _mark_version(project, champion, running[1])
        elif _is_alias_pending(project, champion):
            _mark_version(project, champion, running[1])
        return _publish(project, running[0])


def _publish(project: Project, served: Entry[DeploymentServed]) -> Entry[DeploymentServed]:
    """Publish the deployment as an artifact in Prefect."""
    name, version = project.params.data.name, served.record.version
    page = version_page(project.folder.mlflow_uri, name, version)
    artifacts.publish(
        f"{name}-deployment",
        lambda: artifacts.deployment(served, address=project.folder.address, version=page),
        description=f"Version {version} serves.",
    )
    return served


def _mark_version(project: Project, promoted: Entry[ModelPromoted], service: Serving) -> None:
    """Tag the version in MLflow with its deployment; a deployment succeeds without MLflow.

    The alias is moved if a promotion is not marked in MLflow yet: a person's, or one made while MLflow
    was down.
    """
    tags = {"mlops.deployment": service.id, "mlops.image": service.image}
    alias_pending = _is_alias_pending(project, promoted)
    try:
        project.registry.mark(
            service.version,
            CHAMPION if alias_pending else None,
            tags={name: value for name, value in tags.items() if value},
        )
        if alias_pending:
            project.ledger.record(ModelMarked(alias=CHAMPION), cause=promoted)
    except MlopsError as exc:
        log.warning("version %s is not marked as deployed: %s", service.version, exc)


def _is_alias_pending(project: Project, promoted: Entry[ModelPromoted]) -> bool:
    return project.ledger.find(ModelMarked, cause=promoted.id) is None
