"""Put the promoted model behind the gateway."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import deploying, run
from mlops.orchestration.loop import Loop

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="deploy", flow_run_name=run.title, timeout_seconds=900)
def deploy() -> run.Ended:
    """Start the champion beside what serves, switch when it is ready, then end the old one.

    No request fails on the way, and where the new one is not ready the old one goes on serving. A
    champion that serves already is left alone.
    """
    served = deploying.deploy(ROOT, Loop.at(ROOT).promoted())
    return run.ended(f"Version {served.body['version']} serves at {Loop.at(ROOT).project.address}.")
