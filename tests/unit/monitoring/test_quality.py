"""Quality: the loss of what was served against the loss at training."""

from __future__ import annotations

import numpy as np

from mlops.config.params import MonitorParams
from mlops.monitoring.quality import quality


def losses(seed=0, mean=0.5, days=20, rows=50):
    rng = np.random.default_rng(seed)
    blocks = np.arange(days).repeat(rows)
    return mean + rng.normal(0, 0.05, days)[blocks] + rng.normal(0, 0.1, days * rows), blocks


def graded(mean=0.5, coverage=0.9, policy=MonitorParams(), **changed):  # noqa: B008
    facts = {"ordered": True, "reference_loss": 0.5, "coverage": coverage, "policy": policy}
    return quality(*losses(mean=mean, **changed), **facts)


def test_quality_as_at_training_is_ok():
    assert graded().state == "ok"
    assert graded(0.3).state == "ok"


def test_loss_surely_above_trainings_is_worse():
    assert graded(0.7).state == "worse"


def test_loss_within_the_least_effect_is_ok():
    assert graded(0.54).state == "ok"


def test_little_coverage_is_unknown_not_healthy():
    seen = graded(0.9, coverage=0.4)
    assert seen.state == "unknown"
    assert "40%" in seen.note


def test_few_labels_or_a_single_block_are_unknown():
    assert graded(0.9, rows=2).state == "unknown"
    assert graded(0.9, days=1, rows=1000).state == "unknown"
