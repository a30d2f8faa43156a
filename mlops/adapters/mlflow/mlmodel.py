"""A bundle as an MLflow model: the files that MLflow reads beside it.

MLflow's own `save_model` takes 1.9 s to write the same few files, since it compares the
requirements with what is installed; and it would copy the bundle.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mlflow.pyfunc
from mlflow.entities import LoggedModel
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema
from skops.io import get_untrusted_types

from mlops import schema as schemas
from mlops.adapters.mlflow.loader import SCORES
from mlops.files import user_module
from mlops.model.bundle import Bundle

__all__ = ["FOLDER", "columns", "signature", "table", "write"]

FOLDER = "bundle"
"""Where the bundle lies within the logged model."""

_ESTIMATOR = "model.skops"
_LOADER = "mlops.adapters.mlflow.loader"
_JSON_TYPES = {
    "number": DataType.double,
    "integer": DataType.long,
    "boolean": DataType.boolean,
    "string": DataType.string,
}
"""MLflow's type of a value, by its type in JSON Schema: a feature is what a request holds."""
_LABELS = {bool: DataType.boolean, int: DataType.long, float: DataType.double, str: DataType.string}
_NEEDED = ("mlops-loop", "mlflow", "numpy", "orjson", "pandas", "onnxruntime")
_NEEDED_UNCOMPILED = ("scikit-learn", "scipy", "skops")
_EXAMPLE_ROWS = 5


def write(folder: Path, bundle: Bundle, logged: LoggedModel) -> None:
    """Write the MLmodel file and its companions into `folder`, all but the bundle itself."""
    example = _example(bundle)
    info = bundle.model
    needed = _NEEDED if info.compiled else (*_NEEDED, *_NEEDED_UNCOMPILED, *info.packages)
    files = {
        "input_example.json": json.dumps(example),
        "serving_input_example.json": json.dumps({"dataframe_split": example}),
        "requirements.txt": "".join(f"{line}\n" for line in _pinned(needed)),
        "python_env.yaml": f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    model = Model(
        artifact_path=logged.artifact_location,
        run_id=logged.source_run_id,
        model_id=logged.model_id,
        model_uuid=logged.model_id,
        signature=signature(bundle),
        saved_input_example_info={
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "dataframe",
            "pandas_orient": "split",
        },
        model_size_bytes=sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file()),
        metadata={"digest": bundle.digest},
    )
    mlflow.pyfunc.add_to_model(model, loader_module=_LOADER, data=FOLDER, python_env="python_env.yaml")
    if not info.custom:
        _add_scikit_learn(model, bundle)
    model.save(str(folder / "MLmodel"))


def signature(bundle: Bundle) -> ModelSignature:
    """Return what goes in and comes out.

    The inputs are named, not typed: MLflow takes no whole number for a double and no time for a string,
    and refuses them before the model sees them, which reads both. `BundleModel` checks every value.
    """
    anything: AnyType = AnyType()  # type: ignore[no-untyped-call]
    return ModelSignature(
        Schema([ColSpec(anything, name) for name in bundle.schema.features]),
        Schema([ColSpec(_label(bundle), "prediction")]),
        ParamSchema([ParamSpec(SCORES, DataType.boolean, False)]),
    )


def _add_scikit_learn(model: Model, bundle: Bundle) -> None:
    """Let ``mlflow.sklearn.load_model`` find the estimator, whose inputs are those of `Schema.inputs`.

    One that holds classes of the project's module is left to pyfunc: only that imports the module.
    """
    estimator = (bundle.folder / _ESTIMATOR).read_bytes()
    if user_module.name((bundle.folder / "module.py").read_bytes()).encode() in estimator:
        return
    model.add_flavor(
        "sklearn",
        pickled_model=f"{FOLDER}/{_ESTIMATOR}",
        sklearn_version=version("scikit-learn"),
        serialization_format="skops",
        # What a training was allowed to write: types that were reviewed, or are trusted in params.yaml.
        skops_trusted_types=get_untrusted_types(data=estimator),
    )


def columns(schema: schemas.Schema) -> Schema:
    """Return a schema's features in MLflow's types."""
    return Schema(
        [ColSpec(_JSON_TYPES[type.json_schema["type"]], name) for name, type in schema.types.items()]
    )


def table(bundle: Bundle) -> Schema:
    """Return the columns of the rows a bundle was made of: the features, the target, time and key."""
    schema = bundle.schema
    roles = [ColSpec(_label(bundle), schema.target)]
    if schema.time is not None and schema.time not in schema.features:
        roles.append(ColSpec(DataType.datetime, schema.time))
    if schema.key is not None:
        roles.append(ColSpec(DataType.string, schema.key))
    return Schema([*columns(schema).inputs, *roles])


def _label(bundle: Bundle) -> DataType:
    classes = bundle.model.classes
    return DataType.double if classes is None else _LABELS[type(classes[0])]


def _example(bundle: Bundle) -> dict[str, list[object]]:
    names = list(bundle.schema.features)
    rows = bundle.golden["rows"][:_EXAMPLE_ROWS]
    return {"columns": list(names), "data": [[row[name] for name in names] for row in rows]}


def _pinned(names: Sequence[str]) -> list[str]:
    pins = []
    for name in names:
        try:
            pins.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # run from a clone, the library is no installed package
            pins.append(name)
    return pins
