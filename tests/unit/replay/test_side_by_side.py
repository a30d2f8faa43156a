"""Several policies at once, and again after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.replay.played import Replayed
from mlops.replay.side_by_side import Candidate, replay_all
from mlops.replay.timeline import Timeline
from mlops.training.out_of_fold import Recipe
from tests.unit.replay.conftest import DAY, SCHEMA, SOURCE, edges, history, params

pytestmark = pytest.mark.statistical

COUNTING = """
from pathlib import Path

from sklearn.linear_model import LogisticRegression


def build(params, schema):
    counter = Path({path!r})
    count = len(counter.read_text()) if counter.exists() else 0
    if count == {limit}:
        raise KeyboardInterrupt
    counter.write_text("1" * (count + 1))
    return LogisticRegression()
"""


def candidates(source: bytes = SOURCE, *policies: str) -> list[Candidate]:
    recipe = Recipe(source, "model.py", {}, 0)
    return [Candidate(policy, params(), recipe) for policy in policies or ("never", "always", "on_drift")]


def replayed(folder: Path, chosen: list[Candidate], *, workers: int = 1, rows=None) -> Replayed:
    rows = history(change_day=54) if rows is None else rows
    timeline = Timeline(rows, SCHEMA, DAY)
    return replay_all(chosen, timeline, edges=edges(), folder=folder, workers=workers)


def timeless(result: Replayed) -> list[dict[str, object]]:
    return [{**one.to_dict(), "seconds": 0} for one in result.policies]


def test_policies_in_processes_of_their_own_give_what_they_give_one_by_one(tmp_path: Path) -> None:
    one_by_one = replayed(tmp_path / "one", candidates())
    at_once = replayed(tmp_path / "two", candidates(), workers=2)
    assert timeless(at_once) == timeless(one_by_one)


def test_a_replay_that_was_killed_resumes_after_the_fits_that_were_done(tmp_path: Path) -> None:
    counter = tmp_path / "fits"

    def source(limit: int) -> bytes:
        return COUNTING.format(path=str(counter), limit=limit).encode()

    whole = replayed(tmp_path / "whole", candidates(source(-1), "never", "every=6d"))
    fits = len(counter.read_text())
    counter.unlink()
    # Killed in the middle of the second policy; the module is the same in both runs but for its limit.
    stopped = source(-1).replace(b"count == -1", b"count == int(Path(str(counter) + '.limit').read_text())")
    limit = Path(f"{counter}.limit")
    limit.write_text(str(fits // 2), encoding="utf-8")
    chosen = candidates(stopped, "never", "every=6d")
    with pytest.raises(KeyboardInterrupt):
        replayed(tmp_path / "killed", chosen)
    limit.write_text("-1", encoding="utf-8")
    resumed = replayed(tmp_path / "killed", chosen)
    assert timeless(resumed) == timeless(whole)
    # A backtest that was cut off is done again: as many fits as it has folds, at the most.
    assert fits <= len(counter.read_text()) <= fits + 3


def test_a_finished_replay_is_read_and_another_setting_or_row_is_played(tmp_path: Path) -> None:
    first = replayed(tmp_path, candidates())
    again = replayed(tmp_path, candidates())
    assert [one.seconds for one in again.policies] == [one.seconds for one in first.policies]
    rows = history(change_day=54)
    rows.loc[5, "x"] += 0.5
    other = replayed(tmp_path, candidates(SOURCE, "never"), rows=rows)
    assert other.policies[0].seconds != first.policies[0].seconds
    assert list(tmp_path.rglob("fits")) == []


def test_a_result_that_was_cut_off_is_played_again(tmp_path: Path) -> None:
    first = replayed(tmp_path, candidates(SOURCE, "never"))
    (kept,) = tmp_path.rglob("*.json")
    kept.write_text(kept.read_text()[:40])
    assert timeless(replayed(tmp_path, candidates(SOURCE, "never"))) == timeless(first)
