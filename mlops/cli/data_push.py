"""Command `data push`: send the data to a DVC remote."""

from __future__ import annotations

import typer

from mlops.cli.output import Json
from mlops.cli.transfer_progress import Remote, progress, show_transfer

__all__ = ["data_push"]


def data_push(context: typer.Context, remote: Remote = None, json: Json = False) -> None:
    """Send the data of all versions to a DVC remote; each object is hashed before it goes.

    Example: mlops data push
    """
    from mlops.project.data_push import push

    done = push(context.obj.project(), remote=remote, on_progress=progress("sent"))
    show_transfer(context, done, "sent", as_json=json)
