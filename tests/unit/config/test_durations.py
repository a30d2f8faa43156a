from __future__ import annotations

from datetime import timedelta

import pytest

from mlops.config.durations import Cadence, check_timezone, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "every"),
    [("1m", timedelta(minutes=1)), ("6h", timedelta(hours=6)), ("1d", timedelta(1)), ("2w", timedelta(14))],
)
def test_an_interval_is_read(text: str, every: timedelta) -> None:
    cadence = Cadence.parse(text)
    assert cadence == Cadence(text, every)
    assert str(cadence) == f"every {text}"


@pytest.mark.parametrize(
    "line",
    ["0 6 * * 1", "*/5 * * * *", "15 3 1,15 * *", "0 6 * * mon-fri", "0 6 * jan,JUL SUN", "5/10 0-3 * * 7"],
)
def test_a_cron_line_is_read(line: str) -> None:
    cadence = Cadence.parse(line)
    assert cadence == Cadence(line)
    assert str(cadence) == line


def test_spaces_of_a_cron_line_are_single() -> None:
    assert Cadence.parse("  0  6 *\t* 1 ").text == "0 6 * * 1"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "daily",
        "@daily",
        "0 6 * *",  # four fields
        "0 0 6 * * 1",  # six: the first would be seconds
        "60 6 * * *",
        "0 24 * * *",
        "0 6 * * 8",
        "0 6 * * 5-1",  # cronsim and croniter differ
        "0 6 * * 5L",
        "0 6 LW * *",
        "0 6 * * 1#2",
        "H 6 * * *",
        "0 6 30 2 *",  # no such day
        "*/0 * * * *",
        "6 hours",
        "0h",
        "30s",
        "-6h",
        5,
        True,
        ["6h"],
    ],
)
def test_what_is_no_cadence_is_refused_with_what_is(wrong: object) -> None:
    with pytest.raises(ValueError, match=r'6h or 1d, or a cron line of five fields, as "0 6 \* \* 1"'):
        Cadence.parse(wrong)


def test_a_cron_line_says_which_field_is_wrong() -> None:
    with pytest.raises(ValueError, match="Bad minute"):
        Cadence.parse("60 6 * * *")


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/New_York", "Etc/GMT+5"])
def test_a_time_zone_is_known(name: str) -> None:
    assert check_timezone(name) == name


@pytest.mark.parametrize(
    "name", ["", "Berlin", "Europe", "../etc/passwd", "/etc/passwd", "CET+1", "a\0b", "a" * 300]
)
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA name, such as UTC or Europe/Berlin"):
        check_timezone(name)


def test_a_duration_beyond_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="below"):
        parse_duration("99999999999999w")


@pytest.mark.parametrize("text", ["90s", "45m", "36h", "1d", "400d"])
def test_a_duration_is_spelled_as_it_is_read(text: str) -> None:
    assert format_duration(parse_duration(text)) == text
    assert format_duration(parse_duration(text) - timedelta(microseconds=1)).endswith("s")
