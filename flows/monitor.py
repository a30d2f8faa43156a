"""Has what is served drifted from what the champion was trained on?"""

from datetime import datetime
from pathlib import Path

from prefect import flow

from mlops.orchestration import watching
from mlops.orchestration.loop import Loop
from mlops.outcome import Outcome

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="monitor", timeout_seconds=900)
def monitor(as_of: datetime | None = None) -> Outcome:
    """Judge the window of served rows that ends at `as_of`; confirmed drift is announced.

    Parameters
    ----------
    as_of
        End of the window, event time; now where none is given.
    """
    checked = watching.check(ROOT, as_of)
    if checked.body["confirmed"]:
        watching.announce(ROOT, checked)
    watching.write_report(ROOT, checked)
    return Outcome(checked.body["sentence"])
