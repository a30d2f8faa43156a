"""Pull what is new from data.source, and keep the position up to which each source was read.

The positions are a file of the tree beside the pointers to the data, in the same commit: a lake of an
earlier version comes with the positions it had.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mlops.config.paths import POSITIONS
from mlops.data import cursor
from mlops.data.source import Fetched, FileSource, Source, SourceContext
from mlops.errors import DataError
from mlops.files import atomic, formats, hashing
from mlops.project.context import Project

__all__ = ["Pull", "merge_positions", "pull", "restore_positions", "source_of"]

_FETCHED = "fetched.json"
_FORMAT = 1
"""Of `POSITIONS`."""


@dataclass(frozen=True)
class Pull:
    """The new tables of data.source.

    Parameters
    ----------
    source
        The source's name in `POSITIONS`: a digest of its settings in params.yaml, without secrets.
    folder
        Where fetched files are.
    """

    source: str
    tables: tuple[Fetched, ...]
    folder: Path

    @property
    def position(self) -> Any:
        """Position of the source after these tables; None where their content identifies them."""
        return next((each.position for each in reversed(self.tables) if each.position is not None), None)

    def write_intent(self) -> None:
        """Record that these tables are about to be published: after a kill the next pull returns them first.

        Fetched again they might differ, and rows without a key would count twice.
        """
        inside = [each for each in self.tables if each.file.is_relative_to(self.folder)]
        if inside:
            records = [
                {
                    "file": str(each.file.relative_to(self.folder)),
                    "name": each.name,
                    "position": each.position,
                    "again": each.again,
                }
                for each in inside
            ]
            atomic.write_text(self.folder / _FETCHED, formats.to_json({"tables": records}, _FORMAT))

    def write_position(self, tree: Path) -> None:
        """Write the source's position to the tree."""
        if self.position is not None:
            _write(tree, {**_positions(_text(tree)), self.source: self.position})

    def remove_files(self) -> None:
        """Remove the fetched files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def source_of(project: Project) -> Source:
    """Return the source that params.yaml names.

    Raises
    ------
    ConfigError
        A variable of the environment that it names is not set.
    """
    params = project.params.data.source
    context = SourceContext(project.params.data.name, project.folder.root)
    assert params is not None  # checked by the caller
    if isinstance(params, str):
        if "://" in params:
            from mlops.adapters.sources import remote_files

            return remote_files.AddressSource(context.expand(params))
        return FileSource(params, context.root)
    module, _, name = params.adapter.partition(":")
    source: Source = getattr(import_module(module), name).from_params(params, context)
    return source


def pull(project: Project, tree: Path) -> Pull:
    """Fetch what is new for the lake of a tree; what a killed run was about to publish comes first.

    Raises
    ------
    MlopsError
        The source cannot be read.
    """
    params = project.params.data.source
    plain = params if isinstance(params, str) or params is None else params.model_dump(mode="json")
    name = hashing.of_value(plain)[:16]
    folder = project.folder.home / "fetched" / ("loop" if tree != project.folder.root else "person") / name
    intent = folder / _FETCHED
    if intent.is_file():
        tables = [
            Fetched(folder / each["file"], each["name"], each["position"], each.get("again", False))
            for each in formats.from_json(intent.read_text("utf-8"), _FORMAT, where=str(intent))["tables"]
        ]
        if all(each.file.is_file() for each in tables):  # otherwise they were ingested, and being removed
            return Pull(name, tuple(tables), folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tables = list(source_of(project).fetch(_positions(_text(tree)).get(name), folder))
    return Pull(name, tuple(tables), folder)


def merge_positions(tree: Path, theirs: str, base: str | None = None) -> None:
    """Merge the positions of another tree into this one's, whose lake is to hold the rows of both.

    Parameters
    ----------
    base
        The common ancestor's: where only the other tree's position changed, it may have gone back.
    """
    ours, ancestor = _positions(_text(tree)), _positions(base) if base else {}
    for name, position in _positions(theirs).items():
        unchanged = name in ours and ours[name] == ancestor.get(name)
        ours[name] = position if unchanged else cursor.later(ours.get(name), position)
    _write(tree, ours)


def restore_positions(tree: Path, text: str | None) -> None:
    """Restore the positions of another version's lake; None if it had none."""
    if text is None:
        (tree / POSITIONS).unlink(missing_ok=True)
    else:
        _write(tree, _positions(text))


def _text(tree: Path) -> str:
    file = tree / POSITIONS
    return file.read_text("utf-8") if file.is_file() else _json({})


def _json(positions: dict[str, Any]) -> str:
    return json.dumps({"format": _FORMAT, "positions": positions}, indent=2, sort_keys=True) + "\n"


def _positions(text: str) -> dict[str, Any]:
    try:
        return dict(formats.from_json(text, _FORMAT, where=POSITIONS)["positions"])
    except (ValueError, TypeError, KeyError) as exc:
        raise DataError(
            f"{POSITIONS} cannot be read: {exc}.",
            remedy=f"Restore it from git: `git checkout -- {POSITIONS}`.",
        ) from exc


def _write(tree: Path, positions: dict[str, Any]) -> None:
    file = tree / POSITIONS
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(file, _json(positions))
