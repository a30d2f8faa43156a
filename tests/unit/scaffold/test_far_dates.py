"""A day that stands for none is named."""

import pandas as pd
import pytest

from mlops.scaffold.far_dates import far_dates, named_far

DAYS = pd.Series(pd.date_range("2013-01-01", periods=100, freq="D").strftime("%Y-%m-%d"))


@pytest.mark.parametrize(
    ("days", "far"),
    [
        (DAYS, {}),
        (pd.concat([DAYS, pd.Series(["9999-12-31"])]), {"9999-12-31": 1}),
        (pd.concat([DAYS, pd.Series(["0001-01-01"] * 3)]), {"0001-01-01": 3}),
        (pd.concat([DAYS, pd.Series(["1900-01-01"] * 4)]), {"1900-01-01": 4}),
        (pd.concat([DAYS, pd.Series(["1900-01-01", None])]), {}),  # one may be what it says
    ],
)
def test_days_far_from_all_others_are_found(days: pd.Series, far: dict[str, int]) -> None:
    assert far_dates(days.reset_index(drop=True), days.reset_index(drop=True)) == far


def test_a_day_is_named_as_the_table_writes_it() -> None:
    raw = pd.Series(["03.01.2013", "04.01.2013", "31.12.9999"])
    far = far_dates(pd.to_datetime(raw, format="%d.%m.%Y", utc=True), raw)
    assert '{until: ["31.12.9999"]}' in named_far("until", far)
