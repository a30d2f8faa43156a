from __future__ import annotations

import io
import json
import warnings
import zipfile

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from mlops.adapters import skops
from mlops.errors import BundleError, StageError
from mlops.files import user_module
from mlops.model.predictor import load_fitted

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, 0] > 0

MODULE = b"""
from sklearn.base import BaseEstimator, TransformerMixin

class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return X * 2
"""


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(SimpleImputer(), SelectKBest(k=2), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(n_estimators=3),
        KNeighborsClassifier(),
        CalibratedClassifierCV(LogisticRegression(), cv=2),
        CalibratedClassifierCV(LogisticRegression(), cv=2, method="temperature"),
        MLPClassifier(hidden_layer_sizes=2, max_iter=1),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_scikit_learns_own_models_come_back_as_they_were(estimator) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one iteration doesn't converge
        estimator.fit(X, Y)
    read = load_fitted(skops.dumps(estimator), b"", trusted=())

    np.testing.assert_array_equal(read.predict_proba(X), estimator.predict_proba(X))


def test_bytes_between_an_arrays_fields_do_not_count() -> None:
    # scikit-learn's trees are such arrays: what the memory held before lies in the gaps.
    gapped = np.dtype({"names": ["a", "b"], "formats": ["u1", "<f8"], "offsets": [0, 8], "itemsize": 16})
    model = LogisticRegression().fit(X, Y)
    written = []
    for filler in (b"\x00", b"\xff"):
        model.nodes = np.frombuffer(filler * 48, dtype=gapped).copy()
        model.nodes["a"], model.nodes["b"] = 1, 2.0
        written.append(skops.dumps(model))

    assert written[0] == written[1]
    assert load_fitted(written[1], b"", trusted=()).nodes.tolist() == [(1, 2.0)] * 3


def test_nothing_in_a_file_tells_when_or_where_it_was_written() -> None:
    with zipfile.ZipFile(io.BytesIO(skops.dumps(LogisticRegression().fit(X, Y)))) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        numbered = [f"{n + 1}.npy" for n in range(len(archive.namelist()) - 1)]
        assert archive.namelist() == [*numbered, "schema.json"]


def test_the_projects_own_classes_come_with_its_module() -> None:
    own = user_module.load(MODULE, "model.py")
    model = make_pipeline(own.Doubled(), LogisticRegression()).fit(X, Y)
    data = skops.dumps(model)
    read = load_fitted(data, MODULE, trusted=())

    np.testing.assert_array_equal(read.predict_proba(X), model.predict_proba(X))
    with pytest.raises(BundleError, match=r"Doubled, a type not on the reviewed list"):
        load_fitted(data, b"another = 'module'", trusted=())


def test_a_type_is_made_only_where_somebody_trusts_it() -> None:
    # What a model file asks for doesn't count: here it asks for a class of the test runner.
    data = _renamed(skops.dumps(LogisticRegression().fit(X, Y)), "pytest", "Item")

    with pytest.raises(BundleError, match=r"pytest\.Item, a type not on the reviewed list"):
        load_fitted(data, b"", trusted=())


def test_a_model_of_another_scikit_learn_is_refused() -> None:
    data = _edited(skops.dumps(LogisticRegression().fit(X, Y)), _another_version)

    with pytest.raises(BundleError, match=r"fitted by scikit-learn 0\.1, this is "):
        load_fitted(data, b"", trusted=())


def test_what_skops_cannot_save_is_told() -> None:
    model = LogisticRegression().fit(X, Y)
    model.hook = (line for line in ())  # a generator

    with pytest.raises(StageError, match="LogisticRegression cannot be saved"):
        skops.dumps(model)


def _edited(data: bytes, edit) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, json.dumps(edit(json.loads(content))) if name == "schema.json" else content)
    return sink.getvalue()


def _renamed(data: bytes, of_module: str, name: str) -> bytes:
    return _edited(data, lambda state: {**state, "__module__": of_module, "__class__": name})


def _another_version(state: dict) -> dict:
    state["content"]["content"]["_sklearn_version"]["content"] = '"0.1"'
    return state
