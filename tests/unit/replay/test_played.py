from __future__ import annotations

import json

from mlops.replay.played import Played, Replayed, Step
from tests.unit.replay.conftest import BEGIN, DAY, Player, history


def of(
    policy: str, loss: float | None, trainings: int = 0, settings: tuple[tuple[str, str], ...] = ()
) -> Played:
    step = Step(BEGIN, BEGIN + DAY, 1, 10, 0 if loss is None else 10, loss)
    return Played(policy, (step,), (), trainings, trainings, 0, 1.0, settings)


def test_what_a_policy_played_is_read_as_it_was_written(played: Player) -> None:
    one = played("on_drift", history(change_day=50))
    assert Played.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_the_share_of_the_gap_is_between_never_and_always() -> None:
    half, worse = of("on_drift", 0.6), of("rows=5", 0.9)
    result = Replayed("log_loss", (of("never", 0.8), of("always", 0.4, 9), half, worse))
    shares = [result.gap_closed(one) for one in result.policies]
    assert [round(share, 6) for share in shares if share is not None] == [0.0, 1.0, 0.5, -0.25]


def test_there_is_no_gap_where_always_gains_nothing_or_was_not_played() -> None:
    loop = of("on_drift", 0.6)
    assert Replayed("log_loss", (of("never", 0.4), of("always", 0.5), loop)).gap_closed(loop) is None
    assert Replayed("log_loss", (of("never", 0.4), loop)).gap_closed(loop) is None


def test_the_best_has_the_lowest_loss_and_of_several_the_fewest_trainings() -> None:
    dear, cheap = of("always", 0.4, 9), of("on_drift", 0.4, 2)
    result = Replayed("log_loss", (of("never", 0.8), dear, cheap, of("rows=5", None)))
    assert result.best == cheap


def test_changed_settings_are_part_of_the_title_and_no_present_settings() -> None:
    changed = of("params", 0.5, settings=(("retrain.cooldown", "9d"),))
    assert changed.title == "params retrain.cooldown=9d"
    assert Replayed("log_loss", (changed,)).find("params") is None
