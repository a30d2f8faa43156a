from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from mlops.config.consistency import RowRate
from mlops.data.lake import Lake
from mlops.stages.io import holdout_rate
from mlops.stages.prepare import prepare
from mlops.stages.split import split
from tests.ripening import PARAMS, SCHEMA


def project(root: Path, *, timeless: bool = False) -> Path:
    """Return a project with two plums a day for forty days, the newest two without a label."""
    picked = pd.date_range("2026-01-01", periods=80, freq="12h", tz="UTC")
    table = pd.DataFrame({"plum": range(80), "picked": picked, "size": 1.0, "colour": "red"})
    table["ripe"] = [True, False] * 39 + [None, None]
    (root / "params.yaml").write_text(PARAMS.replace("  time: picked\n", "") if timeless else PARAMS)
    Lake(root / "data" / "lake").append(table, SCHEMA)
    return root


def test_before_the_first_training_no_rate_is_known(tmp_path: Path) -> None:
    assert holdout_rate(project(tmp_path)) is None


@pytest.mark.parametrize("timeless", [False, True])
def test_the_rate_is_that_of_what_the_split_wrote(tmp_path: Path, timeless: bool) -> None:
    root = project(tmp_path, timeless=timeless)
    prepare(root)
    split(root)
    rate = holdout_rate(root)
    assert rate is not None
    if timeless:
        assert rate == RowRate(78)
    else:
        assert rate.rows == 29
        assert rate.length is not None
        assert rate.length.total_seconds() == pytest.approx(timedelta(days=14).total_seconds(), abs=1)


def test_a_file_that_no_stage_wrote_tells_no_rate(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "holdout.parquet").write_bytes(b"PAR1 no more")
    assert holdout_rate(tmp_path) is None
