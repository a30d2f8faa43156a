"""Deploy the promoted model behind the gateway."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="deploy", flow_run_name=flow_run.title, timeout_seconds=900)
def deploy() -> flow_run.Ended:
    """Start the champion, switch the gateway once it is ready, then stop the old deployment.

    No request fails. If the new deployment does not become ready, the old one keeps serving. A champion
    that already serves is not restarted.
    """
    served = tasks.deploy.deploy(ROOT, Project.at(ROOT).promoted())
    return flow_run.ended(f"Version {served.record.version} serves at {Project.at(ROOT).folder.address}.")
