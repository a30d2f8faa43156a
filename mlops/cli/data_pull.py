"""Command `data pull`: bring the data from a DVC remote."""

from __future__ import annotations

import typer

from mlops.cli.output import Json
from mlops.cli.transfer_progress import Remote, progress, show_transfer

__all__ = ["data_pull"]


def data_pull(context: typer.Context, remote: Remote = None, json: Json = False) -> None:
    """Fetch the data of all versions from a DVC remote; each object is verified on arrival.

    Example: mlops data pull --remote store
    """
    from mlops.project.data_pull import pull

    done = pull(context.obj.project(), remote=remote, on_progress=progress("fetched"))
    show_transfer(context, done, "fetched", as_json=json)
