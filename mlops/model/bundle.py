"""The one model file: a folder that is gated, imaged, served and reproduced.

manifest.json    the sha256 of every other file; its own sha256 names the bundle
model.skops      the model as fitted
model.onnx       the model compiled, where it predicts as the fitted one does
model.custom        in place of both: what the module's own `save` returned
module.py        the project's module that built it
schema.json      the columns it sees
model.json       task, classes, versions, known categories: see `ModelInfo`
golden.json      rows, and what the model predicted for them in training
reference.parquet                    fitted rows, of the newest regime
predictions.parquet, reference.json  out-of-fold predictions of the newest folds; their mean losses, and
                                     the features' importances
rows.parquet     without a time column: a hash of each fitted row, the out-of-fold losses of those scored
lineage.json     the data, parameters, lock and module it came from, and what a search chose

The same inputs give the same bytes: nothing in it tells a time, a machine or a run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from mlops import feature_types, task_types
from mlops.errors import BundleError, shown
from mlops.files import atomic, formats, hashing, user_module
from mlops.schema import Schema
from mlops.task_types.decision import FORMAT as DECISION
from mlops.task_types.decision import Decision

__all__ = ["MANIFEST", "Bundle", "ModelInfo", "open", "run_module", "to_json", "write"]

MANIFEST = "manifest.json"
_FORMAT = 2


@dataclass(frozen=True)
class ModelInfo:
    """What is needed to predict with the model.

    Parameters
    ----------
    classes
        The labels, in the order of the probabilities; the second is the positive one where
        there are two. None where the task is regression.
    prior
        The classes' shares among the fitted rows, or their mean: the constant baseline.
    compiled
        Whether model.onnx is there and predicts.
    trusted
        Types beyond the reviewed list that model.skops may hold, from params.yaml.
    categories
        Per category feature the values met in training.
    custom
        Whether model.custom is there and predicts, through module.py.
    packages
        What module.py imports beyond scikit-learn's packages.
    decision
        The rule that makes a label of the probabilities; None where the likeliest is predicted.
    """

    task: str
    classes: Sequence[Any] | None
    prior: Sequence[float] | float
    compiled: bool
    why_not_compiled: str | None = None
    trusted: Sequence[str] = ()
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    custom: bool = False
    packages: Sequence[str] = ()
    decision: Decision | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the content of model.json."""
        fields = {**asdict(self), "decision": self.decision and self.decision.to_json()}
        return {name: value for name, value in fields.items() if name != "decision" or value is not None}


@dataclass(frozen=True)
class Bundle:
    """A model's folder, its manifest checked.

    Parameters
    ----------
    digest
        The sha256 of manifest.json: the bundle's name everywhere.

    Examples
    --------
    >>> bundle = project.champion.bundle
    >>> list(bundle.schema.features), bundle.model.task
    (['size', 'colour'], 'binary')
    >>> mlops.Bundle.open(bundle.folder) == bundle
    True
    """

    folder: Path
    digest: str

    @classmethod
    def open(cls, folder: str | Path, *, digest: str | None = None) -> Bundle:
        """Open a bundle and hash every file against its manifest.

        Parameters
        ----------
        digest
            What the bundle must be, where that is known.

        Raises
        ------
        mlops.errors.BundleError
            There is no bundle, it is another one, or a file of it is not what the manifest says.
        """
        return open(Path(folder), digest=digest)

    def read(self, name: str) -> bytes:
        """Return the content of one of its files.

        Raises
        ------
        BundleError
            It has no such file.
        """
        try:
            return (self.folder / name).read_bytes()
        except OSError as exc:
            absent = isinstance(exc, FileNotFoundError)
            problem = f"has no {name}" if absent else f"{name} cannot be read: {exc.strerror}"
            raise _damaged(self.folder, problem) from exc

    @cached_property
    def schema(self) -> Schema:
        """The columns the model sees; types and a task of the project's own are registered by its module."""
        value = self._json("schema.json")
        if not all(type in feature_types.REGISTER for _, type in value["features"]) or (
            value["task"] not in task_types.REGISTER
        ):
            self.run_module()
        return Schema.from_dict(value)

    @property
    def registers(self) -> bool:
        """Whether the model's columns or its task need module.py to be understood."""
        value = self._json("schema.json")
        types = {type for _, type in value["features"]}
        return not (
            types <= feature_types.REGISTER.built_in and value["task"] in task_types.REGISTER.built_in
        )

    def run_module(self) -> ModuleType:
        """Run module.py, as it was when the bundle was made, and return it.

        Raises
        ------
        BundleError
            It is not what the manifest says, or cannot be run here.
        """
        source = self.read("module.py")
        if hashing.of_bytes(source) != self._json(MANIFEST)["files"].get("module.py"):
            raise _damaged(self.folder, "module.py differs from the manifest")
        return run_module(source)

    @cached_property
    def model(self) -> ModelInfo:
        """What must be known of the model to answer with it."""
        fields = dict(self._json("model.json"))
        if (rule := fields.get("decision")) is not None:
            formats.check(rule.get("format"), DECISION, where=f"The decision rule of {self.folder}")
            fields["decision"] = Decision.from_json(rule)
        return ModelInfo(**fields)

    @cached_property
    def golden(self) -> dict[str, Any]:
        """``rows``, a list of records, and ``predictions``, the ``prediction`` and ``score`` of each."""
        return dict(self._json("golden.json"))

    @cached_property
    def reference(self) -> dict[str, Any]:
        """``loss`` and ``baseline``: mean losses, out of fold on the newest folds; their ``rows``.

        Also the ``error`` of each loss, its standard error, and the ``blocks`` of rows it rests on.
        And by feature its importance, ``importances``, see `mlops.evaluation.plots.importances`.
        """
        return dict(self._json("reference.json"))

    def reference_loss(self, metric: str) -> float:
        """Return the mean loss of the newest folds.

        Raises
        ------
        BundleError
            It was not measured when the model was trained, as a cost that params.yaml had no costs for.
        """
        losses = self.reference["loss"]
        if metric not in losses:
            raise BundleError(
                f"The model was trained without {metric}, which gate.metric names; "
                f"it has {shown(list(losses))}.",
                remedy="Train again, or set gate.metric in params.yaml to one of these.",
            )
        return float(losses[metric])

    @cached_property
    def model_files(self) -> dict[str, str]:
        """The sha256 of each file that predicts: equal where one model was fitted to the same columns."""
        files: dict[str, str] = self._json(MANIFEST)["files"]
        predicting = ("model.skops", "model.onnx", "model.custom", "module.py", "schema.json")
        return {name: files[name] for name in predicting if name in files}

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """``data``, ``params``, ``lock``, ``module``, the ``train`` and ``holdout`` windows, the ``folds``.

        Also ``fitted_until``, the end of the fitted rows.

        And ``search`` where one chose: the ``params`` that were fitted, their ``trial``, the trials
        by ``state``, and the ``metric`` and ``loss`` they were chosen by.
        """
        return dict(self._json("lineage.json"))

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self.read(name))
        except ValueError as exc:
            raise _damaged(self.folder, f"{name} is not JSON") from exc


def run_module(source: bytes) -> ModuleType:
    """Run the module that a bundle carries, its digest checked.

    Raises
    ------
    BundleError
        It cannot be run here.
    """
    try:
        return user_module.load(source, "module.py")
    except Exception as exc:
        raise BundleError(
            f"The custom module cannot be run here: {type(exc).__name__}: {exc}.",
            remedy="Name the packages it imports under model.packages in params.yaml, and train again; a "
            "library of the system must be in the base image, MLOPS_BASE_IMAGE: see "
            "the page 'Your own parts and models' of the documentation.",
        ) from exc


def to_json(value: Any) -> bytes:
    """Return `value` as JSON in the one form that bundles use; NaN is refused."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def write(folder: Path, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle in place of what `folder` present; killed midway, it leaves none.

    Parameters
    ----------
    files
        Content by path within the bundle.
    """
    staged = atomic.temporary(folder)
    atomic.sweep(folder.parent, folder.name)
    shutil.rmtree(staged, ignore_errors=True)
    digests = {name: hashing.of_bytes(data) for name, data in files.items()}
    manifest = to_json({"format": _FORMAT, "files": digests})
    try:
        for name, data in files.items():
            target = staged / _inside(name, folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        (staged / MANIFEST).write_bytes(manifest)
        shutil.rmtree(folder, ignore_errors=True)
        staged.replace(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Bundle(folder, hashing.of_bytes(manifest))


def open(folder: Path, *, verify: bool = True, digest: str | None = None) -> Bundle:
    """Open a bundle.

    Parameters
    ----------
    verify
        Hash every file against the manifest.
    digest
        What the bundle must be, where the caller knows: a manifest can be forged, this cannot.

    Raises
    ------
    BundleError
        There is no bundle, it is another one, or a file of it differs, is missing or is
        not in the manifest; the file is named.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
        manifest = json.loads(content)
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
        raise _damaged(folder, f"has no readable {MANIFEST} ({reason})") from exc
    formats.check(manifest.get("format"), _FORMAT, where=f"Bundle {folder}")
    actual = hashing.of_bytes(content)
    if digest is not None and actual != digest:
        raise _damaged(folder, f"is {actual[:12]}, not {digest[:12]}")
    if verify:
        _check(folder, files)
    return Bundle(folder, actual)


def _check(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        path = folder / _inside(name, folder)
        if not path.is_file():
            raise _damaged(folder, f"has no {name}")
        if hashing.of_file(path) != expected:
            raise _damaged(folder, f"{name} differs from the manifest")
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if extra := sorted(present - set(files) - {MANIFEST}):
        raise _damaged(folder, f"{extra[0]} is not in the manifest")


def _inside(name: str, folder: Path) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or name == MANIFEST:
        raise _damaged(folder, f"names {name}, which is no file of a bundle")
    return name


def _damaged(folder: Path, what: str) -> BundleError:
    return BundleError(
        f"Bundle {folder}: {what}.", remedy="Do not serve this bundle: fetch it again, or train again."
    )
