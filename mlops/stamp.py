"""Stamping a project: the layout of this repository's root, in another folder."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from mlops.errors import UsageError

__all__ = ["stamp", "template"]

_PARTS = ("params.yaml", "dvc.yaml", "requirements.lock", "flows", "models")

_IGNORED = """\
.mlops/
.env
__pycache__/
"""


def template() -> Path:
    """Return the folder that projects are stamped from: the wheel's copy, or the clone's root."""
    inside = Path(__file__).parent / "template"
    return inside if (inside / "params.yaml").is_file() else Path(__file__).parents[1]


def stamp(folder: Path) -> None:
    """Make `folder` a project: its files, a git repository, DVC, the first commit.

    Raises
    ------
    UsageError
        It is one already.
    """
    from mlops.adapters.dvc import DvcTree

    if (folder / "params.yaml").exists():
        raise UsageError(f"{folder} is a project already.", remedy="Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for part in _PARTS:
        source = template() / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    (folder / ".gitignore").write_text(_IGNORED)
    if not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    DvcTree.init(folder)
    _commit_all(folder)


def _commit_all(folder: Path) -> None:
    from mlops.adapters.git import Tree

    names = sorted(path.name for path in folder.iterdir() if path.name not in {".git", ".mlops", ".env"})
    Tree(folder).commit_paths(names, "Begin the project")
