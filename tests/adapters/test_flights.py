"""The demonstration's model and source, on a few rows written here."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from mlops.adapters import onnx
from mlops.config.project_folder import load_params
from mlops.schema import Schema
from mlops.tables.conform import columns_of, conform
from mlops.training.fit import fit, load_builder

ROOT = Path(__file__).parents[2]
SCHEMA = Schema.from_params(load_params(ROOT / "params.yaml"))


@pytest.fixture
def source() -> ModuleType:
    spec = spec_from_file_location("flights_source", ROOT / "models/flights/source.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    flights = pd.DataFrame(
        {
            "year": 2013,
            "month": [1, 1, 2],
            "day": [1, 31, 1],
            "arr_delay": [15.0, 16.0, None],
            "sched_dep_time": [515, 2359, 5],
            "sched_arr_time": [819, 55, 1200],
            "carrier": ["UA", "B6", "AA"],
            "flight": [1545, 7, 1141],
            "origin": ["EWR", "JFK", "JFK"],
            "dest": ["IAH", "BQN", "MIA"],
            "distance": [1400, 1576, 1089],
            "time_hour": ["2013-01-01T10:00:00Z", "2013-02-01T04:00:00Z", "2013-02-01T05:00:00Z"],
        }
    )
    weather = pd.DataFrame({name: [1.0, 2.0] for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed")})
    weather = weather.assign(precip=0.0, pressure=1000.0, visib=10.0, origin=["EWR", "JFK"])
    weather["time_hour"] = ["2013-01-01T09:00:00Z", "2013-02-01T04:00:00Z"]
    flights.to_csv(tmp_path / "flights.csv.zip", index=False)
    weather.to_csv(tmp_path / "weather.csv", index=False)
    return tmp_path


def test_a_flight_carries_the_weather_of_the_hour_before(source: ModuleType, folder: Path) -> None:
    table = source.load(folder)

    assert table["flight"].tolist() == [
        "2013-01-01-UA1545-EWR-0515",
        "2013-01-31-B67-JFK-2359",
        "2013-02-01-AA1141-JFK-0005",
    ]
    np.testing.assert_array_equal(table["temp"], [1.0, np.nan, 2.0])
    assert table["late"].tolist() == [False, True, None]
    assert table["dep_minute"].tolist() == [315.0, 1439.0, 5.0]
    assert table["weekday"].tolist() == [1.0, 3.0, 4.0]


def test_months_are_the_flights_own(source: ModuleType, folder: Path) -> None:
    assert source.load(folder, [1])["carrier"].tolist() == ["UA", "B6"]


def test_shuffling_deals_the_same_rows_out_over_the_same_times(source: ModuleType, folder: Path) -> None:
    plain, shuffled = source.load(folder), source.load(folder, shuffle_seed=2)

    assert sorted(shuffled["time_hour"]) == sorted(plain["time_hour"])
    pd.testing.assert_frame_equal(shuffled.drop(columns="time_hour"), plain.drop(columns="time_hour"))
    assert len(source.load(folder, [1], shuffle_seed=2)) == 2


def test_the_table_fits_params_yaml(source: ModuleType, folder: Path) -> None:
    frame = conform(source.load(folder), SCHEMA)

    assert frame["late"].tolist() == [False, True, None]


@pytest.mark.parametrize("algorithm", ["hist", "logistic"])
@pytest.mark.parametrize("dated", [False, True])
def test_both_algorithms_compile(algorithm: str, dated: bool) -> None:
    random = np.random.default_rng(0)
    features: dict[str, str] = {**SCHEMA.features, **({"time_hour": "date"} if dated else {})}
    schema = replace(SCHEMA, features=features)
    rows = 2000
    table = {
        name: random.choice(["a", "b", ""], rows).astype(object)
        if kind == "category"
        else np.where(random.random(rows) < 0.1, np.nan, random.normal(500, 100, rows))
        for name, kind in SCHEMA.features.items()
    }
    table["time_hour"] = pd.date_range("2013-01-01", periods=rows, freq="h", tz="UTC")
    late = np.array([bool(x) for x in random.random(rows) < 0.3], dtype=object)
    frame = pd.DataFrame({**table, "late": late})
    build = load_builder((ROOT / "models/flights/model.py").read_bytes(), "models/flights/model.py")
    done = fit(frame, schema, build, {"algorithm": algorithm}, seed=1)

    assert onnx.compile(done.estimator, schema, done.classes, columns_of(frame, schema)).reason is None
