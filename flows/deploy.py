"""Put the promoted model behind the gateway."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import deploying
from mlops.orchestration.loop import Loop
from mlops.outcome import Outcome

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="deploy", timeout_seconds=900)
def deploy() -> Outcome:
    """Start the champion beside what serves, switch when it is ready, then end the old one."""
    served = deploying.deploy(ROOT, Loop.at(ROOT).promoted())
    return Outcome(f"Version {served.body['version']} serves at {Loop.at(ROOT).project.address}.")
