"""Command `init`: a new project from a table."""

from __future__ import annotations

from collections import Counter
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.cli.output import Json, show_progress

if TYPE_CHECKING:
    from mlops.column_formats import ColumnFormat
    from mlops.project.init import CreatedProject
    from mlops.scaffold.model_choice import ModelChoice

__all__ = ["init"]

_NAMES = "COLUMN[,COLUMN…]"


def init(
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(help="CSV, Parquet or JSON lines: a file, a folder, a pattern or an address.")
    ],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    time: Annotated[str | None, typer.Option(help="The column that holds each row's event time.")] = None,
    key: Annotated[str | None, typer.Option(help="The column that identifies a row.")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.")] = None,
    features: Annotated[
        list[str] | None, typer.Option(metavar=_NAMES, help="The feature columns, and no others.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar=_NAMES, help="Columns to exclude.")] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=FORMAT",
            help="How a column is written, as price={decimal: ','} or sold_on=%d/%m/%Y; see `data.formats`.",
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=WORD[,WORD…]",
            help="What stands for a missing value in a column, as sensor=-999; see `data.missing`.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data and model; default: the folder's name.")
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--try",
            metavar="SECONDS",
            min=0,
            help="About how long models are tried on the table; 0 proposes one untried.",
        ),
    ] = 30,
    json: Json = False,
) -> None:
    """Turn this folder into a project for your table, and ingest it as version 1.

    Every setting is inferred from the table and shown. No existing file is overwritten.
    Example: mlops init customers.parquet --target churned --time signed_up_at --key customer_id
    """
    from mlops.project.init import begin
    from mlops.scaffold.profile_options import ProfileOptions

    options = ProfileOptions(
        target, time, key, _task(task), _names(features), _names(exclude), _formats(format), _missing(missing)
    )
    created = begin(context.obj.folder, table, options, name=name, seconds=seconds, on_progress=show_progress)
    context.obj.show(_text(created), _result(created), as_json=json)


def _task(text: str | None) -> str | None:
    from mlops import task_types
    from mlops.errors import UsageError

    if text is not None and text not in task_types.REGISTER:
        names = ", ".join(task_types.REGISTER.names)
        raise UsageError(f"--task: got {text!r}.", remedy=f"Choose one of {names}.")
    return text


def _names(texts: list[str] | None) -> tuple[str, ...]:
    """Return the names that an option gives, each by itself or several with commas between them."""
    return tuple(name.strip() for text in texts or () for name in text.split(",") if name.strip())


def _missing(texts: list[str] | None) -> dict[str, tuple[str | float, ...]]:
    """Return what an option names as missing, by column: numbers, where it is one, else words."""
    from mlops.errors import UsageError

    named: dict[str, tuple[str | float, ...]] = {}
    for text in texts or ():
        column, _, words = text.partition("=")
        values = tuple(_number_or_word(word.strip()) for word in words.split(",") if word.strip())
        if not values:
            raise UsageError(f"--missing {text}: no word.", remedy="Write it as --missing 'sensor=-999,?'.")
        named[column] = (*named.get(column, ()), *values)
    return named


def _number_or_word(text: str) -> str | float:
    for kind in (int, float):
        try:
            number: float = kind(text)
        except ValueError:
            continue
        return number if isfinite(number) else text
    return text


def _formats(texts: list[str] | None) -> dict[str, ColumnFormat]:
    """Return the formats that an option names, by column."""
    from mlops import column_formats
    from mlops.errors import ConfigError, UsageError
    from mlops.files import yaml

    formats: dict[str, ColumnFormat] = {}
    for text in texts or ():
        column, _, value = text.partition("=")
        try:
            # A pattern begins with a sign that YAML has for itself.
            written = value if value.startswith("%") else yaml.parse(value, file="--format")
            formats[column] = column_formats.of_params(written)
        except (ConfigError, ValueError) as exc:
            allowed = exc.allowed if isinstance(exc, ConfigError) else exc
            raise UsageError(f"--format {column}: got {value!r}.", remedy=f"Write {allowed}.") from exc
    return formats


def _text(created: CreatedProject) -> str:
    it, profile = created.proposal, created.proposal.profile
    types = Counter(feature.type for feature in profile.features)
    lines = [f"{it.name}: {it.rows:,} rows of {it.source}", f"  target    {profile.target}, {profile.task}"]
    lines[1] += f", {profile.unlabelled:.1%} of the rows without a label" if profile.unlabelled else ""
    if it.span:
        begin, end = it.span.begin, it.span.end
        lines.append(f"  time      {profile.time}, {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC")
    lines += [f"  key       {profile.key}"] if profile.key else []
    counted = ", ".join(f"{count} {type}" for type, count in types.most_common())
    lines.append(f"  features  {len(profile.features)}: {counted}")
    lines += [f"  excluded  {column}: {reason}" for column, reason in profile.left_out.items()]
    lines += [f"  inferred  {sentence}" for sentence in profile.decided]
    lines += _model(it.model)
    lines += [
        f"  WARNING   {column} almost determines {profile.target} by itself. If it is known only afterwards, "
        "drop it: remove its line from params.yaml."
        for column in profile.suspects
    ]
    lines += [f"  kept      {path}, an existing file" for path in created.kept]
    lines += [
        created.result,
        "params.yaml has every setting, with a comment on each line; contract.yaml the rules for new rows.",
        "Next: mlops train && mlops up && mlops deploy",
    ]
    return "\n".join(lines)


def _model(choice: ModelChoice) -> list[str]:
    """Return what is proposed, and what else was tried, a line each."""
    from mlops.scaffold.candidates import describe

    lines = [f"  model     {describe(choice.params)}, {choice.reason}"]
    lines += [f"            {trial.loss:.4g} by {trial}" for trial in choice.trials[1:]]
    return lines + [f"  WARNING   {note}" for note in choice.notes if choice.trials]


def _result(created: CreatedProject) -> dict[str, Any]:
    it, profile = created.proposal, created.proposal.profile
    return {
        "folder": str(created.folder.resolve()),
        "name": it.name,
        "rows": it.rows,
        "target": profile.target,
        "task": profile.task,
        "time": profile.time,
        "key": profile.key,
        "features": {feature.name: feature.type for feature in profile.features},
        "left_out": profile.left_out,
        "suspects": list(profile.suspects),
        "decided": list(profile.decided),
        "model": it.model.params,
        "tried": [{"params": trial.params, "loss": trial.loss} for trial in it.model.trials],
        "kept": list(created.kept),
        "result": created.result,
        "data": created.version.record.md5,
    }
