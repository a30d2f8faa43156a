"""Check a table against the contract before it is ingested; nothing is changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from mlops.config.paths import LAKE
from mlops.data import contract
from mlops.data.batch import Report, examine
from mlops.data.lake import Lake
from mlops.data.staging import Staging
from mlops.errors import DataError
from mlops.project.context import Project
from mlops.schema import Schema

__all__ = ["check_table", "contract_of", "examined"]


def contract_of(project: Project) -> contract.Contract | None:
    """Return the project's contract, if params.yaml names one.

    Raises
    ------
    ConfigError
        It does not exist, or is not valid.
    """
    named = project.params.data.contract
    return None if named is None else contract.load(project.folder.root / named, project.schema)


def check_table(project: Project, file: Path, *, as_of: datetime | None = None) -> Report:
    """Return the report that an ingestion of a file would give.

    Parameters
    ----------
    as_of
        The time that freshness is measured at; now by default.

    Raises
    ------
    DataError
        The file cannot be read as a table.
    """
    with TemporaryDirectory(prefix="mlops-") as folder, Staging(Path(folder, "staging")) as staging:
        return examined(
            Lake(project.folder.root / LAKE),
            file,
            file.name,
            project.schema,
            contract_of(project),
            now=as_of or datetime.now(UTC),
            staging=staging,
        )


def examined(
    lake: Lake,
    file: Path,
    name: str,
    schema: Schema,
    rules: contract.Contract | None,
    *,
    now: datetime,
    staging: Staging,
    quarantine: IO[str] | None = None,
) -> Report:
    """Stage a table, and check it against the contract and the lake's labels.

    Raises
    ------
    DataError
        The file cannot be read as a table.
    """
    report = examine(file, name, schema, rules, now=now, staging=staging, quarantine=quarantine)
    if report.refusals:
        return report
    try:
        lake.refuse_other_labels(staging, schema)
    except DataError as exc:
        return Report(name, report.rows, refusals=(exc.message,), error=exc)
    return report
