"""What a project's own module registers goes the whole way, in processes that know nothing but its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.errors import ConfigError
from mlops.feature_types import NUMBER
from mlops.feature_types import REGISTER as FEATURE_TYPES
from mlops.files import yaml

ROOT = Path(__file__).parents[2]

MODULE = '''
"""Parcels: how many come at a time of day."""

from math import nan

import numpy as np
from sklearn.linear_model import Ridge

from mlops import feature_types, task_types
from mlops.feature_types import FeatureType
from mlops.feature_types.column_reading import refuse
from mlops.stats import statistics
from mlops.stats.statistics import Statistic
from mlops.task_types import losses
from mlops.task_types.losses import Loss
from mlops.task_types.regression import Regression


class Clock(FeatureType):
    """A time of day; a model sees the minutes since midnight."""

    name = "clock"
    value = "a time of day such as 7:30"
    json_schema = {"type": "string"}
    statistic = "kolmogorov_smirnov"

    def read_json(self, value):
        if value is None:
            return nan
        if type(value) is not str:
            raise ValueError(value)
        hours, minutes = value.split(":")
        return 60.0 * int(hours) + int(minutes)

    def read_column(self, column):
        def read(value):
            try:
                return value if isinstance(value, float) else self.read_json(value)
            except ValueError:
                return None

        minutes = column.map(read)
        refuse(column, minutes.isna() & column.notna(), self.value)
        return minutes.astype("float64")

    def to_json(self, values):
        return [None if value != value else f"{int(value) // 60}:{int(value) % 60:02}" for value in values]


class Count(Regression):
    """How many; never below 0."""

    name = "count"
    noun = "count"

    def read_target(self, column):
        counts = super().read_target(column)
        refuse(column, counts < 0, "a count")
        return counts

    def prediction_schema(self, classes):
        return {"type": "number", "description": "A count."}


def off_by_more_than_one(labels, predictions, classes):
    return (np.abs(np.asarray(predictions.values) - np.asarray(labels, float)) > 1.0).astype(float)


def kolmogorov_smirnov(support, reference, current):
    return np.abs(np.cumsum(reference - current, axis=1)).max(axis=1)


feature_types.register(Clock())
task_types.register(Count())
losses.register(Loss("off_by_one", "share off by more than one", off_by_more_than_one, of_classes=False))
statistics.register(
    Statistic("kolmogorov_smirnov", "Kolmogorov-Smirnov distance", kolmogorov_smirnov, is_ordered=True)
)


def build(params, schema):
    return Ridge()
'''

PARAMS: dict[str, Any] = {
    "data": {
        "name": "parcels",
        "target": "parcels",
        "time": "day",
        "key": "row",
        "features": {"hour": "clock", "staff": "number"},
    },
    "model": {"builder": "models/parcels/model.py", "task": "count"},
    "train": {"window": "20d", "holdout": "10d", "gap": "1d"},
    "gate": {"metric": "off_by_one", "min_rows": 10},
    "monitor": {"min_rows": 100},
}

TRAIN = """
from mlops.adapters.mlflow import mlmodel
from mlops.data.lake import Lake
from mlops.deployment.image import required_packages, sources
from mlops.model import bundle, predictor
from mlops.stages.backtest import read_backtest
from mlops.stages.io import read_rows
from mlops.stages.pipeline import STAGES
from mlops.tables.conform import columns_of
from mlops.tables.readers import read_batches
from mlops.task_types.predictions import constant
from mlops.training.judged_rows import JudgedRows, check_refit, judge_against

params = load_params(root / "params.yaml")
schema = Schema.from_params(params)
for frame in read_batches(root / "parcels.csv", schema, rows=10_000, labelled=True):
    Lake(root / "data/lake").append(frame, schema)
for stage in STAGES.values():
    stage(root)
made = bundle.open(root / "build/bundle")
rows, _ = read_rows(root / "data/holdout.parquet", schema)
judged_rows = JudgedRows(schema, params.gate, rows, read_backtest(root / "build/backtest.parquet"))
newest = judged_rows.newest
refit = check_refit(newest, predictor.load(made).predict(columns_of(newest.rows, schema)), None)
champion = judged_rows.losses_of(constant(made.model.prior, None, len(rows)), None)
judged = judge_against(judged_rows, champion, refit=refit, version="2", promotion="1", champion="1")
said = {
    "task": made.model.task,
    "prior": made.model.prior,
    "compiled": made.model.compiled,
    "losses": list(made.reference["loss"]),
    "golden": made.golden["rows"][0],
    "promoted": judged.promote,
    "sentence": judged.sentence,
    "mlflow": [str(column.type) for column in mlmodel.columns(schema).inputs],
    "packages": list(required_packages(made.folder)),
    "sources": list(sources(made.folder)),
}
"""

SERVE = """
from datetime import UTC, datetime

import orjson
import pandas as pd

from mlops.adapters import evidently
from mlops.model import bundle, predictor
from mlops.monitoring import drift
from mlops.prediction_log import reader
from mlops.prediction_log.writer import PredictionLog
from mlops.serving import requests
from mlops.serving.app import PATHS
from mlops.serving.prometheus import Metrics
from mlops.serving.service import Service

made = bundle.open(root / "build/bundle")
log = PredictionLog(root / "log", "d1")
service = Service(made, predictor.load(made), log, Metrics(PATHS), deployment="d1", version="1")
service.check()
asked = [
    {"hour": f"11:{i % 60:02}", "staff": i % 5, "row": str(i), "day": f"2013-03-{1 + i % 20:02}"}
    for i in range(400)
]
body = orjson.dumps({"rows": asked})
answered = service.predict(requests.rows(requests.read(body, requests.plain, made.schema), made.schema))
log.close()
try:
    requests.rows([{"hour": 7, "staff": 1}], made.schema)
except RowError as exc:
    refused = str(exc)
params = load_params(root / "params.yaml")
served = reader.read(root / "log", made.schema)
current = drift.as_reference(served, made.schema)
reference, held = (pd.read_parquet(made.folder / f"{name}.parquet") for name in ("reference", "predictions"))
window = (datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 21, tzinfo=UTC))
reports = [
    drift.measure(reference, held, current, made.schema, window=window, policy=params.monitor, statistics=how)
    for how in (drift.distances, evidently.statistics)
]
said = {
    "served": sorted(set(served["hour"]))[:2],
    "document": service.document(most_rows=100)["components"]["schemas"],
    "refused": refused,
    "columns": [[(c.column, c.statistic, c.value, c.verdict) for c in report.columns] for report in reports],
    "page": evidently.write_report(reference, current, {"hour": "clock"}, root / "report.html"),
    "predictions": len(answered.predictions),
}
"""

RUN = """
import json, sys
from pathlib import Path

from mlops.config.project_folder import load_params
from mlops.errors import RowError
from mlops.schema import Schema

root = Path(sys.argv[1])
{body}
print(json.dumps(said))
"""


def run(body: str, root: Path) -> dict[str, Any]:
    """Run a script on a project in a process of its own; what it says, as JSON."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(body=body), str(root)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parcels")
    (root / "models/parcels").mkdir(parents=True)
    (root / "models/parcels/model.py").write_text(MODULE)
    (root / "params.yaml").write_text(yaml.dump(PARAMS))
    (root / "requirements.lock").write_text("scikit-learn==1\n")
    random, n = np.random.default_rng(0), 1400
    minutes, staff = random.integers(6 * 60, 12 * 60, n), random.integers(0, 5, n)
    pd.DataFrame(
        {
            "row": np.arange(n),
            "day": pd.date_range("2013-01-01", periods=n, freq="h"),
            "hour": [f"{at // 60}:{at % 60:02}" for at in minutes],
            "staff": staff,
            "parcels": (minutes // 30 + 2 * staff).astype(int),
        }
    ).to_csv(root / "parcels.csv", index=False)
    return root


@pytest.fixture(scope="module")
def trained(project: Path) -> dict[str, Any]:
    return run(TRAIN, project)


@pytest.fixture(scope="module")
def served(project: Path, trained: dict[str, Any]) -> dict[str, Any]:
    assert trained["task"] == "count"
    return run(SERVE, project)


def test_a_feature_type_of_the_projects_own_is_trained_on_served_and_watched(
    trained: dict[str, Any], served: dict[str, Any]
) -> None:
    assert trained["golden"]["hour"].count(":") == 1
    assert trained["mlflow"] == ["DataType.string", "DataType.double"]
    assert served["served"] == [11 * 60, 11 * 60 + 1]
    assert served["document"]["Row"]["properties"]["hour"] == {"type": ["string", "null"]}
    assert "hour must be a time of day such as 7:30 or null, not 7" in served["refused"]
    assert served["predictions"] == 400


def test_a_task_of_the_projects_own_is_trained_measured_and_described(
    trained: dict[str, Any], served: dict[str, Any]
) -> None:
    assert trained["task"] == "count"
    assert trained["prior"] == pytest.approx(21.5, abs=0.5)
    item = served["document"]["Predictions"]["properties"]["predictions"]["items"]["properties"]
    assert item["prediction"] == {"type": "number", "description": "A count."}


def test_a_loss_of_the_projects_own_decides_at_the_gate(trained: dict[str, Any]) -> None:
    assert set(trained["losses"]) == {"squared_error", "absolute_error", "off_by_one"}
    assert trained["sentence"].startswith("Promoted")
    assert "share off by more than one" in trained["sentence"]


def test_a_statistic_of_the_projects_own_finds_drift_here_and_on_evidentlys_page(
    served: dict[str, Any],
) -> None:
    ours, theirs = (
        {name: (statistic, value, verdict) for name, statistic, value, verdict in columns}
        for columns in served["columns"]
    )
    assert ours["hour"] == ("Kolmogorov-Smirnov distance", pytest.approx(5 / 6, abs=0.03), "drift")
    assert theirs["hour"] == (ours["hour"][0], pytest.approx(ours["hour"][1]), "drift")
    assert served["page"] == []


def test_the_image_brings_what_the_projects_module_imports(trained: dict[str, Any]) -> None:
    assert trained["compiled"]
    assert {"onnxruntime", "scikit-learn", "scipy"} <= set(trained["packages"])
    assert {"mlops/stats/statistics.py", "mlops/task_types/regression.py"} <= set(trained["sources"])


def test_params_without_the_module_name_what_is_allowed(project: Path, tmp_path: Path) -> None:
    from mlops.config.project_folder import load_params

    (tmp_path / "params.yaml").write_text(yaml.dump(PARAMS))
    with pytest.raises(
        ConfigError, match=r"data\.features\.hour: got 'clock', allowed: 'number', 'category'"
    ):
        load_params(tmp_path / "params.yaml")


def test_nothing_takes_the_name_of_one_of_the_librarys_own() -> None:
    with pytest.raises(ConfigError, match="got 'number', allowed: a name other than"):
        FEATURE_TYPES.register(NUMBER)
