"""A project's day on other people's machines: every command ends as on this one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.foreign_settings import DAYS, PLAIN, SETTINGS, differences, lived, rows

pytestmark = [pytest.mark.story, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The day without any of them."""
    ends = lived(tmp_path_factory.mktemp("plain"), PLAIN)
    codes = {verb: end["code"] for verb, end in ends.items() if verb not in ("outside", "left")}
    retrained = codes.pop("retrain")
    assert set(codes.values()) == {0}, ends
    assert retrained in (0, 3), ends
    assert ends["outside"] == []
    return ends


@pytest.mark.parametrize("name", rows(combined=True))
def test_the_day_ends_the_same(plain: dict[str, Any], tmp_path: Path, name: str) -> None:
    assert differences(plain, lived(tmp_path, rows(combined=True)[name])) == {}


def test_every_setting_has_its_day() -> None:
    assert len(SETTINGS) >= 30
    assert Counter(each.day for each in SETTINGS.values()).keys() == set(DAYS)
