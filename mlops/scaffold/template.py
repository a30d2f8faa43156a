"""Stamping a project: the layout of this repository's root, in another folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE, POINTERS
from mlops.config.project_folder import find_project
from mlops.data.versions import read_pointer
from mlops.errors import MlopsError, UsageError
from mlops.files import atomic
from mlops.ledger.records import DataVersioned
from mlops.ledger.store import Ledger

if TYPE_CHECKING:
    from mlops.training.fit import Builder

__all__ = ["begin", "proposed_builder", "ready", "stamp", "template"]

_PARTS = ("params.yaml", "dvc.yaml", "requirements.lock", "flows", "models")

_YOURS = frozenset(("README.md", "Makefile", ".gitattributes"))
"""Files a person may have already: theirs is kept, since the project works without ours."""
_OURS = (".gitignore", ".dvc/config", ".dvc/.gitignore", ".dvcignore")
_ATTRIBUTES = "* -text\n"
"""For git: the bytes of a work tree are those that were committed, whatever line endings a person set."""
_IGNORED = """\
.mlops/
incoming/
.env
__pycache__/
"""


def template() -> Path:
    """Return the folder that projects are stamped from: the wheel's copy, or the clone's root."""
    inside = Path(__file__).parents[1] / "template"
    return inside if (inside / "params.yaml").is_file() else Path(__file__).parents[2]


def proposed_builder() -> Builder:
    """Return the builder of the model that a new project begins with."""
    from mlops.training.fit import load_builder

    path = template() / "models" / "table" / "model.py"
    return load_builder(path.read_bytes(), str(path))


def stamp(folder: Path) -> None:
    """Make `folder` a copy of this repository's own project, with git, DVC and the first commit.

    For the demo, the benchmarks and tests, which want its params.yaml and its flights. A person's
    project comes from `begin`: its files are proposed for their table, go beside what is there, and
    only they are committed.

    Raises
    ------
    UsageError
        It is one already.
    """
    if (folder / "params.yaml").exists():
        raise UsageError(f"{folder} is a project already.", remedy="Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for part in _PARTS:
        source = template() / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    (folder / ".gitignore").write_text(_IGNORED, "utf-8")
    (folder / ".gitattributes").write_text(_ATTRIBUTES, "utf-8")
    Tree.init(folder)
    _under_dvc(folder)
    _commit_all(folder)


def ready(folder: Path) -> Path | None:
    """Make sure that a project can be begun in a folder, before anything is read or written for it.

    Returns
    -------
    The top of another git repository that the folder lies in, None where it lies in none.

    Raises
    ------
    UsageError
        It, or what it would lie in, is a file; or it is a git submodule.
    MlopsError
        Git is not there, the folder cannot be written to, or its HEAD is detached.
    """
    folder = folder.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is a file.", remedy="Choose another folder.")
    top = Tree(there).top()
    if not os.access(there, os.W_OK | os.X_OK):
        raise MlopsError(f"{there} cannot be written to.", remedy="Choose another folder.")
    if (folder / ".git").exists():
        Tree(folder).branch()
        Tree(folder).check_top()
        return None
    return top


def begin(folder: Path, files: Mapping[str, str], *, name: str) -> list[str]:
    """Make `folder` a project of these files and of what every project has, with git and DVC.

    Nothing that is there is overwritten. Killed midway, the same call again finishes.

    Parameters
    ----------
    files
        Content by path; a README, a Makefile and tests that are there already stay as they are.
    name
        Of the data: the model's module goes to ``models/<name>/``.

    Returns
    -------
    list
        The files that were there and stay.

    Raises
    ------
    UsageError
        The folder is a project already, or holds a file where one of ours must be.
    MlopsError
        Git ignores what must be committed, or a file cannot be written.
    """
    wanted = {**_common(name), **files}
    there = {path for path in wanted if (folder / path).exists() and not _is(folder / path, wanted[path])}
    if "params.yaml" in there or _has_data(folder):
        raise UsageError(
            f"{folder} is a project already.",
            remedy="Continue with it (`mlops status`), or choose another folder.",
        )
    kept = sorted(path for path in there if path in _YOURS or path.startswith("tests/"))
    if clash := sorted(there - set(kept)):
        raise UsageError(
            f"{folder} holds a {clash[0]} already, where the project's own must be.",
            remedy="Move it away, or choose another folder.",
        )
    made = {path: wanted[path] for path in wanted.keys() - there}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_ignored(Tree.init(folder), [*made, *_OURS, *POINTERS])
        # params.yaml last: a folder without it is no project yet.
        for path in sorted(made, key="params.yaml".__eq__):
            _write(folder / path, made[path])
        _ignore(folder / ".gitignore")
    except OSError as exc:
        raise MlopsError(
            f"The project cannot be written to {folder}: {exc}.",
            remedy="Fix that, and run the same command again to resume.",
        ) from exc
    _under_dvc(folder)
    paths = sorted(path for path in (*made, *_OURS) if (folder / path).exists())
    Tree(folder).commit_paths(paths, "Begin the project")
    return kept


def _has_data(folder: Path) -> bool:
    """Tell whether a version of the folder's data is recorded; a killed beginning leaves one that is not."""
    pointer = folder / f"{LAKE}.dvc"
    if not (pointer.exists() and (folder / "params.yaml").exists()):
        return pointer.exists()
    version, ledger = read_pointer(pointer.read_text("utf-8")), Ledger(find_project(folder).ledger_uri)
    return any(entry.record.md5 == version.md5 for entry in ledger.entries(DataVersioned))


def _refuse_ignored(tree: Tree, paths: list[str]) -> None:
    for path, line in tree.ignored(paths).items():
        raise UsageError(
            f"{path} must be committed, but git ignores it, by {line}.",
            remedy="Remove that line, and run the same command again.",
        )


def _write(path: Path, text: str) -> None:
    """Write one of our files: part of one would pass for somebody else's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, text)


def _under_dvc(folder: Path) -> None:
    from mlops.adapters.dvc.tree import DvcTree

    DvcTree.init(folder)


def _common(name: str) -> dict[str, str]:
    """What is the same in every project, from the template."""
    root, model = template(), f"models/{name}/model.py"
    flows = {f"flows/{path.name}": path.read_text("utf-8") for path in sorted((root / "flows").glob("*.py"))}
    graph = (root / "dvc.yaml").read_text("utf-8").replace("models/flights/model.py", model)
    return {
        **flows,
        ".gitattributes": _ATTRIBUTES,
        model: (root / "models" / "table" / "model.py").read_text("utf-8"),
        "models/Dockerfile": (root / "models" / "Dockerfile").read_text("utf-8"),
        "dvc.yaml": graph,
        "requirements.lock": (root / "requirements.lock").read_text("utf-8"),
    }


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _ignore(path: Path) -> None:
    """Add what git should not see to a .gitignore, where it is not there."""
    present = path.read_text("utf-8") if path.exists() else ""
    missing = [line for line in _IGNORED.splitlines() if line not in present.splitlines()]
    if missing:
        _write(
            path,
            present + ("\n" if present and not present.endswith("\n") else "") + "\n".join(missing) + "\n",
        )


def _commit_all(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir() if path.name not in {".git", ".mlops", ".env"})
    Tree(folder).commit_paths(names, "Begin the project")
