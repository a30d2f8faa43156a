"""Retention: what may go, and above all what may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.config.params import KeepParams
from mlops.maintenance.retention import Bundles, Inventory, Item, Removal, removals

NOW = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def item(name: str, age: timedelta = 100 * DAY, bytes: int = 10) -> Item:
    return Item(Path("/home") / name, bytes, NOW - age)


def gone(inventory: Inventory, **keep: object) -> list[Path]:
    return [path for removal in planned(inventory, **keep) for path in removal.paths]


def planned(inventory: Inventory, **keep: object) -> list[Removal]:
    return removals(inventory, KeepParams.model_validate(keep), NOW)


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_the_newest_reports_stay() -> None:
    reports = [item(f"drift-{n}.html", n * DAY) for n in range(1, 6)]
    assert names(gone(Inventory(reports=reports), reports=3)) == ["drift-5.html", "drift-4.html"]
    assert gone(Inventory(reports=reports), reports=5) == []
    assert len(gone(Inventory(reports=reports), reports=1)) == 4


def test_a_removal_says_what_why_and_how_much() -> None:
    [removal] = planned(Inventory(reports=[item("a.html", DAY), item("b.html", 2 * DAY)]), reports=1)
    assert removal.what == "report b.html"
    assert "keep.reports" in removal.reason
    assert removal.bytes == 10


def test_a_tree_in_which_a_version_was_made_again_stays_a_week() -> None:
    trees = [item("young", 6 * DAY), item("old", 8 * DAY)]
    assert names(gone(Inventory(rebuilt=trees))) == ["old"]
    assert names(gone(Inventory(rebuilt=trees), rebuilt="3d")) == ["old", "young"]


def test_what_was_set_aside_stays_for_ever_unless_a_time_is_given() -> None:
    here = Inventory(
        quarantine=[item("june.jsonl"), item("july.jsonl", DAY)], aside=[item("20260101T000000")]
    )
    assert gone(here) == []
    assert names(gone(here, quarantine="30d")) == ["june.jsonl"]
    assert names(gone(here, aside="30d", quarantine="200d")) == ["20260101T000000"]


digests = st.sampled_from([character * 4 for character in "abcdefgh"])


@given(
    local=st.sets(digests),
    in_use=st.frozensets(digests),
    promoted=st.lists(digests),
    judged=st.dictionaries(digests, st.integers(0, 90).map(lambda days: NOW - days * DAY)),
    registered=st.frozensets(digests),
    age=st.integers(0, 3000).map(lambda hours: timedelta(hours=hours)),
    keep=st.integers(1, 4),
)
def test_no_bundle_goes_that_serves_or_that_no_other_place_has(
    local: set[str],
    in_use: frozenset[str],
    promoted: list[str],
    judged: dict[str, datetime],
    registered: frozenset[str],
    age: timedelta,
    keep: int,
) -> None:
    bundles = Bundles([item(name, age) for name in sorted(local)], in_use, promoted, judged, registered)
    left = set(names(gone(Inventory(bundles=bundles), bundles=keep, judged="30d")))
    assert left <= local
    assert not left & in_use
    assert not left & set(promoted[-keep:])
    assert not left & {digest for digest, at in judged.items() if NOW - at < 30 * DAY}
    if age < timedelta(hours=1):
        assert not left
    if age < DAY:
        assert left <= registered
    elsewhere = local & registered - in_use - set(promoted[-keep:]) - set(judged)
    if age > timedelta(hours=1):
        assert elsewhere <= left


@given(ages=st.lists(st.integers(0, 60)), keep=st.integers(1, 10))
def test_keeping_more_removes_no_more(ages: list[int], keep: int) -> None:
    found = Inventory(reports=[item(f"{n}-{age}.html", age * DAY) for n, age in enumerate(ages)])
    assert set(gone(found, reports=keep + 1)) <= set(gone(found, reports=keep))


def test_what_is_being_made_is_no_litter() -> None:
    found = Inventory(litter=[item(".a.1.tmp", timedelta(minutes=5)), item(".b.1.tmp", 2 * DAY)])
    assert names(gone(found)) == [".b.1.tmp"]


def test_a_log_goes_when_nobody_has_written_to_it_for_long() -> None:
    found = Inventory(logs=[item("runner.log.3", 31 * DAY), item("runner.log.1", 29 * DAY)])
    assert names(gone(found)) == ["runner.log.3"]


MONTHS = [
    Item(Path(f"/p/2025-{month:02}"), 5, datetime(2025, month + 1, 1, tzinfo=UTC), [Path(f"{month}")])
    for month in range(1, 12)
]


class TestPredictions:
    def test_stay_for_ever_unless_told_otherwise(self) -> None:
        assert gone(Inventory(predictions=MONTHS, newest_window=NOW)) == []

    def test_go_by_event_time_before_the_last_judged_window(self) -> None:
        found = Inventory(predictions=MONTHS, newest_window=datetime(2025, 6, 15, tzinfo=UTC))
        assert names(gone(found, predictions="60d")) == ["1", "2", "3"]

    def test_of_the_next_window_stay_whatever_is_asked(self) -> None:
        found = Inventory(
            predictions=MONTHS, newest_window=datetime(2025, 6, 15, tzinfo=UTC), window=timedelta(days=120)
        )
        assert names(gone(found, predictions="1d")) == ["1"]

    def test_stay_while_no_window_was_judged(self) -> None:
        assert gone(Inventory(predictions=MONTHS), predictions="60d") == []

    def test_are_not_made_old_by_a_time_to_come(self) -> None:
        found = Inventory(predictions=MONTHS, newest_window=datetime(2099, 1, 1, tzinfo=UTC))
        assert gone(found, predictions="600d") == []


@pytest.mark.parametrize("bad", [{"reports": 0}, {"bundles": 0}, {"predictions": "a while"}])
def test_a_rule_that_would_leave_nothing_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"keep|reports|bundles|predictions"):
        KeepParams.model_validate(bad)
