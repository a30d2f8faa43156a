"""The DVC remote that a command names, or DVC's default."""

from __future__ import annotations

from mlops.adapters.dvc.remote import Remote
from mlops.adapters.dvc.tree import DvcTree
from mlops.errors import UsageError, shown

__all__ = ["find_remote"]


def find_remote(tree: DvcTree, name: str | None) -> Remote:
    """Return a DVC remote by name; the default one without a name.

    Raises
    ------
    UsageError
        There is none.
    """
    wanted = name or tree.remote()
    known = tree.remotes()
    if wanted is None or wanted not in known:
        what = "DVC has no default remote" if wanted is None else f"DVC has no remote {wanted!r}"
        rest = f"; it has {shown(known)}" if known else ""
        raise UsageError(
            f"{what}{rest}.",
            remedy="Add one: `dvc remote add --default NAME URL`; URL is a folder or s3://BUCKET/PATH.",
        )
    return Remote(tree.root, wanted)
