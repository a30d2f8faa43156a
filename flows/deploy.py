"""Put the promoted model behind the gateway."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="deploy", flow_run_name=flow_run.title, timeout_seconds=900)
def deploy() -> flow_run.Ended:
    """Start the champion beside what serves, switch when it is ready, then end the old one.

    No request fails on the way, and where the new one is not ready the old one goes on serving. A
    champion that serves already is left alone.
    """
    served = tasks.deploy.deploy(ROOT, Project.at(ROOT).promoted())
    return flow_run.ended(f"Version {served.body['version']} serves at {Project.at(ROOT).folder.address}.")
