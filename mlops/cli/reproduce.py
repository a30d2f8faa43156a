"""Command `reproduce`: rebuild a registered version and compare."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.output import Json

__all__ = ["reproduce"]


def reproduce(
    context: typer.Context,
    version: Annotated[
        str | None,
        typer.Argument(help="A registered version, by number or alias; default: the champion."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare only; remove the scratch work tree afterwards.")
    ] = False,
    json: Json = False,
) -> None:
    """Rebuild a registered version from its commit and data, and compare.

    Exit 3 if they differ: the first input that differs is named.
    Example: mlops reproduce 3 --verify
    """
    from mlops.project.reproduce import find
    from mlops.project.reproduce import reproduce as rebuild

    project = context.obj.project()
    rebuilt = rebuild(project, find(project, version), keep=not verify)
    subject, result = rebuilt.subject, rebuilt.result
    lines = [f"Version {subject.version}, commit {subject.commit[:12]}. {result.sentence}"]
    lines += [f"  {one}" for one in result.differences[1:]]
    lines += [f"Rebuilt in {rebuilt.tree}."] if rebuilt.tree else []
    fields = {"version": subject.version, "commit": subject.commit, **result.to_dict(), "tree": rebuilt.tree}
    context.obj.show("\n".join(lines), fields, as_json=json)
    if not result.identical:
        raise typer.Exit(3)
