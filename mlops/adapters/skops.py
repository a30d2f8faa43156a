"""Model files in skops' format: no pickle, and the same bytes for the same model."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import skops.io

from mlops.errors import StageError

__all__ = ["dumps"]

_SCHEMA = "schema.json"
_ADDRESS = "_stop_words_id"
"""Where a text vectorizer caches a memory address; with another one it checks its stop words again."""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


def dumps(estimator: Any) -> bytes:
    """Return a fitted estimator as a skops file; `predictor.load_fitted` reads it.

    skops writes memory addresses as object ids, the time, random file names, the padding of structured
    arrays and the state of numpy's global generator; a text vectorizer caches an address of its own.
    Here objects and files are numbered in order of appearance, and the rest is set to constants.

    Raises
    ------
    StageError
        The estimator contains an object that skops cannot save.
    """
    try:
        with _fixed_generator():
            raw = skops.io.dumps(estimator)
    except Exception as exc:  # skops raises what the object's own code raises
        raise StageError(
            f"{type(estimator).__name__} cannot be saved: {exc}",
            remedy="Build the model from scikit-learn's classes and classes at the top level of its module.",
        ) from exc
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        state = json.loads(archive.read(_SCHEMA))
        files = _renumber(state)
        contents = {new: _clean(new, archive.read(old)) for old, new in files.items()}
    contents[_SCHEMA] = json.dumps(state, separators=(",", ":")).encode()
    return _zip(contents)


@contextmanager
def _fixed_generator() -> Iterator[None]:
    """Set numpy's global generator to a fixed state: a model fitted without a seed refers to it."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


def _renumber(state: dict[str, Any]) -> dict[str, str]:
    """Renumber objects and files in place; return new file names by old ones."""
    ids: dict[int, int] = {}
    files: dict[str, str] = {}
    for node in _nodes(state):
        if "__id__" in node:
            node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if "__loader__" in node and isinstance(old := node.get("file"), str):
            suffix = old.rpartition(".")[2]
            node["file"] = files.setdefault(old, f"{len(files) + 1}.{suffix}")
        if isinstance(address := node.get(_ADDRESS), dict):
            address["content"] = "0"
    return files


def _clean(name: str, data: bytes) -> bytes:
    """Zero the padding between an array's fields, which trees leave uninitialised."""
    if not name.endswith(".npy"):
        return data
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.names is None:
        return data
    clean = np.zeros(array.shape, array.dtype)
    for field in array.dtype.names:
        clean[field] = array[field]
    sink = io.BytesIO()
    # Not np.save: it copies field by field through an uninitialised buffer.
    np.lib.format.write_array_header_1_0(sink, np.lib.format.header_data_from_array_1_0(clean))
    return sink.getvalue() + clean.tobytes()


def _nodes(state: Any) -> Iterator[dict[str, Any]]:
    if isinstance(state, dict):
        yield state
        children: Any = state.values()
    else:
        children = state if isinstance(state, list) else ()
    for child in children:
        yield from _nodes(child)


def _zip(contents: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return sink.getvalue()
