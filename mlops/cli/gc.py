"""Command `gc`: delete what the retention limits no longer keep."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.output import Json, size

__all__ = ["gc"]


def gc(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; otherwise it is only shown.")] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="Also objects in DVC's cache that no version needs.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what the `keep` limits in params.yaml no longer retain; --yes deletes it.

    Example: mlops gc --yes
    """
    from mlops.project.gc import collect, plan

    project = context.obj.project()
    gone = collect(project, cache=cache) if yes else plan(project, cache=cache)
    total = sum(removal.bytes for removal in gone)
    rows = [f"{size(one.bytes):>9}  {one.what:<52}  {one.reason}" for one in gone]
    verb = "deleted" if yes else "to delete; do it with `mlops gc --yes`"
    text = "\n".join([*rows, f"{size(total):>9}  {verb}"]) if gone else "Nothing to delete."
    result = {
        "deleted": yes,
        "bytes": total,
        "removals": [{"what": one.what, "reason": one.reason, "bytes": one.bytes} for one in gone],
    }
    context.obj.show(text, result, as_json=json)
