"""New rows into the lake, as a version of the data."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import intake
from mlops.orchestration.loop import Loop
from mlops.outcome import Outcome

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="ingest", timeout_seconds=3600)
def ingest(file: Path) -> Outcome:
    """Append a table to the lake; the same table twice adds nothing.

    Parameters
    ----------
    file
        CSV, Parquet or JSON lines, with the columns that params.yaml names.
    """
    version = intake.add_file(ROOT, file)
    return Outcome(f"{version.body['rows']:,} rows added; the data is at version {version.body['md5'][:12]}.")
