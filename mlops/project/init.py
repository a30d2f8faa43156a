"""Create a project from a table, with the table as the first version of the data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlops.data.constant_columns import constants_of
from mlops.data.contract import infer
from mlops.errors import DataError
from mlops.ledger.records import DataVersioned
from mlops.project.context import Project
from mlops.project.ingest import add_files
from mlops.project.table_argument import resolve_tables
from mlops.scaffold import template
from mlops.scaffold.candidates import untried
from mlops.scaffold.columns import is_id_name
from mlops.scaffold.model_choice import ModelChoice, choose
from mlops.scaffold.profile import Profile, as_ingested, profile_table
from mlops.scaffold.profile_options import ProfileOptions
from mlops.scaffold.proposal import Proposal, slug
from mlops.scaffold.windows import Span
from mlops.schema import Schema
from mlops.tables import readers
from mlops.tables.sampling import Sample, take
from mlops.task_types import REGRESSION

if TYPE_CHECKING:
    import pandas as pd

    from mlops.ledger.entry import Entry

__all__ = ["TRY_SECONDS", "CreatedProject", "begin", "profiled"]

log = logging.getLogger("mlops")

TRY_SECONDS = 30.0
"""About how long models are tried on a table."""

_CHUNK = 100_000
_SAMPLED = 100_000
"""Rows sampled for profiling, from all of the table; fewer of a wide one."""
_AS_WRITTEN = Schema({}, "", REGRESSION.name)
"""The schema of a table with unknown columns: every value is read as written."""


@dataclass(frozen=True)
class CreatedProject:
    """A new project.

    Parameters
    ----------
    kept
        Files that were there before and stayed as they were.
    result
        What was ingested, a sentence.
    version
        The ledger's ``data.versioned`` of the first version of the data.
    """

    folder: Path
    proposal: Proposal
    kept: Sequence[str]
    result: str
    version: Entry[DataVersioned]


def begin(
    folder: Path,
    table: str,
    options: ProfileOptions,
    *,
    name: str | None = None,
    seconds: float = TRY_SECONDS,
    on_progress: Callable[[str], None] = log.info,
) -> CreatedProject:
    """Profile a table, create a project in `folder`, and ingest the table as its first version.

    Parameters
    ----------
    table
        A file, a folder of files, a pattern or an address.
    seconds
        About how long models may be tried on the table; 0 proposes one untried. See `model_choice.choose`.

    Raises
    ------
    UsageError
        The folder is already a project, or a column cannot have the role that an option gives it.
    DataError
        The table cannot be read, or there is nothing to train on.
    MlopsError
        No project can be created in the folder, see `template.ready` and `template.begin`.
    """
    outer = template.ready(folder)
    with TemporaryDirectory(prefix="mlops-") as fetched:
        files = resolve_tables(table, Path(fetched))
        return _begin(folder, table, files, options, outer, name, seconds, on_progress)


def profiled(files: Sequence[Path], options: ProfileOptions) -> tuple[Sample, Profile]:
    """Read a table as a new project does: sample all of it, and decide what each column is for.

    Raises
    ------
    UsageError, DataError
        As `begin`.
    """
    sample = take(
        _rows(files),
        most=readers.rows_at_once(files[0], _SAMPLED),
        watched=lambda name: name == options.key or is_id_name(name),
        separator=_separator(files),
    )
    profile = profile_table(
        sample.frame, options, untyped=_is_untyped(files), repeated=sample.repeated, texts=sample.texts
    )
    if _is_padded(files):
        profile = replace(profile, written=profile.written.stripped(_texts(profile)))
    return sample, profile


def _is_untyped(files: Sequence[Path]) -> bool:
    return any(readers.format_of(file) == "csv" for file in files)


def _begin(
    folder: Path,
    table: str,
    files: Sequence[Path],
    options: ProfileOptions,
    outer: Path | None,
    name: str | None,
    seconds: float,
    on_progress: Callable[[str], None],
) -> CreatedProject:
    sample, profile = profiled(files, options)
    rows = as_ingested(sample.frame, profile.schema(), untyped=_is_untyped(files))
    span = _span(sample, profile, rows)
    notes = [f"{profile.time} {span.warning}"] if span and span.warning else []
    if outer is not None:
        notes.append(f"the project has a git repository of its own, inside {outer}: let that one ignore it.")
    profile = replace(profile, decided=[*profile.decided, *notes])
    proposal = Proposal(
        name=slug(name or folder.resolve().name),
        profile=profile,
        model=ModelChoice(untried(len(rows))),
        source=Path(table).name,
        rows=sample.rows,
        span=span,
        contract=infer(
            rows,
            profile.schema(),
            repeated=sample.repeated,
            constant=constants_of(sample.frame, set(profile.left_out) - set(options.exclude)),
        ).to_yaml(),
    )
    proposal = _tried(proposal, rows, seconds, on_progress)
    kept = template.begin(folder, proposal.files(), name=proposal.name)
    return CreatedProject(folder, proposal, kept, *_first_version(folder, files))


def _tried(
    proposal: Proposal, rows: pd.DataFrame, seconds: float, on_progress: Callable[[str], None]
) -> Proposal:
    """Return a proposal with the model that is best on rows of its table."""
    model = choose(
        rows,
        proposal.profile.schema(),
        template.proposed_builder(),
        gap=proposal.windows.gap,
        seconds=seconds,
        on_progress=on_progress,
    )
    return replace(proposal, model=model)


def _rows(files: Sequence[Path]) -> Iterator[pd.DataFrame]:
    for file in files:
        yield from readers.read_batches(file, _AS_WRITTEN, rows=readers.rows_at_once(file, _CHUNK))


def _separator(files: Sequence[Path]) -> str | None:
    """Return what separates the columns of CSV files; None where a file is of another format."""
    dialects = [readers.sniff(file) for file in files]
    separators = {dialect.separator if dialect else None for dialect in dialects}
    return separators.pop() if len(separators) == 1 else None


def _is_padded(files: Sequence[Path]) -> bool:
    """Return whether a file has spaces after its separators."""
    return any(dialect.quoting.spaced for file in files if (dialect := readers.sniff(file)))


def _texts(profile: Profile) -> list[str]:
    """Return the columns whose text reaches a request as it is in the file: features, the key, labels."""
    schema = profile.schema()
    labels = [label for label in profile.classes if isinstance(label, str)]
    roles = [schema.key] if schema.key else []
    roles += [schema.target] if labels else []
    return [*(name for name, type in schema.types.items() if type.is_text), *roles]


def _span(sample: Sample, profile: Profile, rows: pd.DataFrame) -> Span | None:
    """Return how the rows lie in time, where they have one."""
    if profile.time is None:
        return None
    moments = rows[profile.time].dropna()
    # Of days, which are no moments, and of what a format reads, no range was seen.
    ends = sample.ranges.get(profile.time, (moments.min(), moments.max()))
    first, last = (end.to_pydatetime().astimezone(UTC) for end in ends)
    return Span.of(moments, first, last)


def _first_version(folder: Path, files: Sequence[Path]) -> tuple[str, Entry[DataVersioned]]:
    outcome = add_files(folder.resolve(), files).outcome
    version = Project.at(folder).ledger.last(DataVersioned)
    if outcome.refused or version is None:
        raise DataError(
            f"The project was created, but the table was not ingested: {outcome.text}",
            remedy="Fix contract.yaml or the table, then run `mlops ingest`.",
        )
    return outcome.text, version
