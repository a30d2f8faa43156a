from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops.config.project_folder import read_params
from mlops.errors import ConfigError
from mlops.task_types.decision import Decision

BY_LABEL = Decision(costs={"snow": 5, "sun": {"fog": 2}})


def content(task: str, metric: str | None = None, **model: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "data": {"name": "plums", "target": "ripe", "features": {"size": "number"}},
        "model": {"builder": "model.py", "task": task, **model},
    }
    return {**made, "gate": {"metric": metric}} if metric else made


@pytest.mark.parametrize(
    ("task", "model", "rule"),
    [
        ("binary", {"threshold": 0.2}, Decision(threshold=0.2)),
        ("binary", {"costs": {"false_negative": 5}}, Decision(costs={"false_negative": 5})),
        ("multiclass", {"costs": {"snow": 5, "sun": {"fog": 2}}}, BY_LABEL),
        ("regression", {}, None),
    ],
)  # fmt: skip
def test_a_threshold_or_costs_make_a_rule(
    tmp_path: Path, task: str, model: dict[str, Any], rule: Decision | None
) -> None:
    assert read_params(content(task, **model), tmp_path).model.decision == rule


@pytest.mark.parametrize(
    ("task", "model", "refused"),
    [
        ("regression", {"threshold": 0.2}, "model.threshold: got 0.2, allowed: nothing: .*regression"),
        ("regression", {"costs": {"a": 1}}, "model.costs: got .* allowed: nothing: .*regression"),
        ("multiclass", {"threshold": 0.2}, "model.threshold: got 0.2, allowed: .*use model.costs"),
        ("binary", {"threshold": 1.0}, "model.threshold: got 1.0"),
        ("binary", {"threshold": 0.2, "costs": {"false_positive": 2}}, "model.costs: .*threshold is set"),
        ("binary", {"costs": {"yes": 2}}, "model.costs: .*allowed: false_positive, false_negative"),
        ("multiclass", {"costs": {"false_positive": 2}}, "model.costs: .*labels, each with its cost"),
        ("binary", {"costs": {"false_positive": 0}}, "model.costs: .*costs above 0"),
        ("binary", {"costs": {"false_positive": "dear"}}, "model.costs: .*finite costs"),
        ("binary", {"costs": {}}, "model.costs: .*a mapping of costs"),
        ("binary", {"metric": "cost"}, "gate.metric: got 'cost', allowed: .*model.costs is not set"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused_by_its_path(
    tmp_path: Path, task: str, model: dict[str, Any], refused: str
) -> None:
    with pytest.raises(ConfigError, match=refused):
        read_params(content(task, **model), tmp_path)


def test_the_gate_may_compare_costs_where_there_are_some(tmp_path: Path) -> None:
    params = read_params(content("binary", "cost", costs={"false_negative": 5}), tmp_path)
    assert params.gate.metric == "cost"
