"""Edit keys of params.yaml; all the rest of the file stays as its owner wrote it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.util import load_yaml_guess_indent

from mlops.config.params import Params
from mlops.config.project_folder import load_params, read_params
from mlops.errors import ConfigError
from mlops.files import atomic
from mlops.files import yaml as plain_yaml

__all__ = ["REPLAYED_WITH", "TRAINED_WITH", "change", "overridden", "override"]

TRAINED_WITH = ("data.features", "model", "train")
"""The parts of params.yaml that one training may override."""
REPLAYED_WITH = ("model", "train", "gate", "monitor", "retrain", "schedule")
"""Those that a replay may."""


def change(path: Path, section: str, values: Mapping[str, str | None]) -> Params:
    """Set keys of one section; comments, order and quotes stay, and the file is replaced whole.

    Parameters
    ----------
    values
        None leaves the key there, and empty.

    Returns
    -------
    What the file says now.

    Raises
    ------
    ConfigError
        It would not be a valid params.yaml, or was none before; the file is untouched.
    """
    return _replace(path, lambda content: _update(content, section, values))


def override(path: Path, values: Mapping[str, str]) -> Params:
    """Set keys by their dotted paths, as ``model.params.max_depth``; a key with its value already stays.

    A parameter of the model that is set is not searched: it goes from ``model.search.space``.

    Parameters
    ----------
    values
        Each as it would be written in the file: ``6``, ``1e-3``, ``[a, b]``, ``90d``.

    Returns
    -------
    What the file says now.

    Raises
    ------
    ConfigError
        A path is none of `TRAINED_WITH`, or params.yaml would not be valid with a value; the path is
        named, with what is allowed, and the file is untouched.
    """
    parsed = {key: _read(key, text) for key, text in values.items()}
    try:
        return _replace(path, lambda content: _set(content, parsed) | _fix(content, parsed))
    except ConfigError as exc:
        if any(f"{key}.".startswith(f"{exc.path}.") or exc.path.startswith(f"{key}.") for key in parsed):
            raise _refused(exc.path, exc.value, exc.allowed) from exc
        raise


def overridden(path: Path, values: Mapping[str, str], *, within: Sequence[str]) -> Params:
    """Return what a params.yaml would say with keys set as `override` sets them; the file is untouched.

    Parameters
    ----------
    within
        The parts that may be set.

    Raises
    ------
    ConfigError
        A path is in none of them, or params.yaml would not be valid with a value.
    """
    parsed = {key: _read(key, text, within=within) for key, text in values.items()}
    text = path.read_text("utf-8")
    content: Any = _like(text).load(text)
    _set(content, parsed)
    _fix(content, parsed)
    try:
        return read_params(_plain(content), path.resolve().parent)
    except ConfigError as exc:
        raise _refused(exc.path, exc.value, exc.allowed) from exc


def _replace(path: Path, edit: Callable[[CommentedMap], bool]) -> Params:
    """Edit the file's content and replace the file, if the result is valid and anything changed."""
    path = path.resolve()
    params = load_params(path)
    text = path.read_text("utf-8")
    changed = _changed(text, edit)
    if changed is None:
        return params
    # Beside the file: what is valid depends on the dvc.yaml there.
    with atomic.replaced(path) as draft:
        draft.write_text(changed, "utf-8")
        params = load_params(draft)
        shutil.copymode(path, draft)
    return params


def _changed(text: str, edit: Callable[[CommentedMap], bool]) -> str | None:
    """Return the text with an edit, None where that changes nothing."""
    yaml = _like(text)
    content: Any = yaml.load(text)
    if not edit(content):
        return None
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()


def _update(content: CommentedMap, section: str, values: Mapping[str, str | None]) -> bool:
    if content.get(section) is None:
        content[section] = CommentedMap()
        content.yaml_set_comment_before_after_key(section, before="\n")
    content[section].update(values)
    return True


def _set(content: CommentedMap, values: Mapping[str, Any]) -> bool:
    """Set values by dotted path; return whether any changed."""
    moved = False
    for key, value in values.items():
        *above, last = key.split(".")
        inside: Any = content
        for depth, name in enumerate(above):
            if inside.get(name) is None:
                inside[name] = CommentedMap()
            inside = inside[name]
            if not isinstance(inside, CommentedMap):
                raise _refused(key, value, f"a key of a mapping, which {'.'.join(above[: depth + 1])} is not")
        if last not in inside or _plain(inside[last]) != value:
            inside[last] = _written(value)
            moved = True
    return moved


def _fix(content: CommentedMap, values: Mapping[str, Any]) -> bool:
    """Remove parameters that are set from the search space; return whether any was in it."""
    names = {key.split(".")[2] for key in values if key.startswith("model.params.")}
    names |= {*_mapping(values, "model.params")}
    space = _mapping(content, "model", "search", "space")
    searched = [name for name in space if name in names]
    for name in searched:
        del space[name]
    if searched and not space:
        del content["model"]["search"]
    return bool(searched)


def _mapping(content: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """Return the mapping at a path, empty where there is none."""
    section: Any = content
    for name in path:
        section = section.get(name) if isinstance(section, dict) else None
    return section if isinstance(section, dict) else {}


def _read(key: str, text: str, *, within: Sequence[str] = TRAINED_WITH) -> Any:
    """Return a value as parsed in its place in params.yaml."""
    if not any(key == path or key.startswith(f"{path}.") for path in within):
        what = "one training" if within is TRAINED_WITH else "a replay"
        raise _refused(
            key,
            text,
            f"what {what} reads: {', '.join(within)}; the rest is the project's, in params.yaml",
        )
    if "" in key.split("."):
        raise _refused(key, text, "names with a dot between two")
    try:
        return plain_yaml.parse(text, file="--set")
    except ConfigError as exc:
        raise _refused(key, text, "YAML, as in params.yaml") from exc


def _plain(value: Any) -> Any:
    """Return a plain value of the file, without comments, quotes and spelling."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _written(value: Any) -> Any:
    """Return a value in the form it is written in: a list on one line, text in quotes where it must be."""
    if isinstance(value, dict):
        return CommentedMap((key, _written(each)) for key, each in value.items())
    if isinstance(value, list):
        items = CommentedSeq(_written(each) for each in value)
        items.fa.set_flow_style()
        return items
    if isinstance(value, str) and plain_yaml.yaml_line(value) != value:
        return DoubleQuotedScalarString(value)
    return value


def _refused(key: str, value: Any, allowed: str) -> ConfigError:
    return ConfigError(key, value=value, allowed=allowed, file="--set")


def _like(text: str) -> YAML:
    """Return a reader and writer that indents as the text does."""
    _, indent, offset = load_yaml_guess_indent(text)
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 10_000
    lists = offset is not None
    yaml.indent(mapping=2 if lists else indent or 2, sequence=indent or 2, offset=offset or 0)
    return yaml
