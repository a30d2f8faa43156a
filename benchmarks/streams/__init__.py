"""The streams that retraining policies are judged on: one function each, by name, in a register.

A function takes a seed and returns a `Stream`. To add one, write the function and name it here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from . import drifts, faults, recorded, seasons
from .stream import Change, Spans, Stream, UnavailableError

__all__ = ["MADE", "RECORDED", "SEEDS", "STREAMS", "Change", "Spans", "Stream", "UnavailableError"]

SEEDS = (20_260, 20_261, 20_262)
"""Of the made streams, fixed before any policy was judged on them."""

MADE: dict[str, Callable[[int], Stream]] = {
    "none": drifts.none,
    "abrupt": drifts.abrupt,
    "gradual": drifts.gradual,
    "recurring": drifts.recurring,
    "covariate_only": drifts.covariate_only,
    "label_only": drifts.label_only,
    "abrupt_regression": drifts.abrupt_regression,
    "abrupt_multiclass": drifts.abrupt_multiclass,
    "new_category": drifts.new_category,
    "rare_positives": drifts.rare_positives,
    "rare_positives_abrupt": drifts.rare_positives_abrupt,
    "labels_late_1": partial(drifts.labels_late, 1),
    "labels_late_30": partial(drifts.labels_late, 30),
    "labels_late_90": partial(drifts.labels_late, 90),
    "weekly_season": seasons.weekly_season,
    "yearly_season": seasons.yearly_season,
    "growth_2": partial(seasons.growth, 2),
    "growth_10": partial(seasons.growth, 10),
    "day_effects_0": partial(seasons.day_effects, 0.0),
    "day_effects_3": partial(seasons.day_effects, 0.3),
    "day_effects_6": partial(seasons.day_effects, 0.6),
    "day_effects_8": partial(seasons.day_effects, 0.8),
    "unit_change": faults.unit_change,
    "sentinels": faults.sentinels,
    "sentinels_abrupt": faults.sentinels_abrupt,
    "heavy_tails": faults.heavy_tails,
    "missing_bursts": faults.missing_bursts,
}
"""Made: the process and its changes are known."""

RECORDED: dict[str, Callable[[int], Stream]] = {
    "new_york_flights": recorded.new_york_flights,
    "electricity": recorded.electricity,
    "stocks": recorded.stocks,
    "glucose": recorded.glucose,
    "trains": recorded.trains,
    "births": recorded.births,
    "police_stops": recorded.police_stops,
}
"""Recorded: the same rows for every seed; one whose data is missing raises `UnavailableError`."""

STREAMS = {**MADE, **RECORDED}
