"""Where rows come from: a file with a table in it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table"]

_FORMATS = "CSV (.csv, .csv.gz, .csv.zip), Parquet (.parquet) or JSON lines (.jsonl, .jsonl.gz)"


def read_table(path: Path) -> pd.DataFrame:
    """Read a table from a file; its name tells the format.

    Raises
    ------
    DataError
        There is no such file, it holds no rows, or it is not what its name says.
    """
    import pandas as pd

    plain = path.name.removesuffix(".gz").removesuffix(".zip")
    try:
        if plain.endswith(".csv"):
            frame = pd.read_csv(path, low_memory=False)
        elif plain.endswith(".parquet"):
            frame = pd.read_parquet(path)
        elif plain.endswith((".jsonl", ".ndjson")):
            # Left as written: pandas would guess dates and turn text into numbers.
            frame = pd.read_json(path, lines=True, dtype=False, convert_dates=False)
        else:
            raise DataError(f"{path} is no table known by its name.", remedy=f"Give {_FORMATS}.")
    except FileNotFoundError as exc:
        raise DataError(f"There is no file {path}.", remedy="Check the path.") from exc
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise DataError(f"{path} cannot be read as a table: {exc}", remedy=f"Give {_FORMATS}.") from exc
    if frame.empty:
        raise DataError(f"{path} holds no rows.", remedy="Give a file with rows.")
    return frame
