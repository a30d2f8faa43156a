"""The kinds of columns, of what is predicted, and of losses: the words of params.yaml. Imports nothing."""

from __future__ import annotations

from typing import Literal

__all__ = ["LOSSES", "TEXTUAL", "Kind", "Metric", "Task"]

Kind = Literal["number", "category", "boolean", "text", "date"]
TEXTUAL: frozenset[Kind] = frozenset(("category", "text"))
"""Kinds whose values reach a model as text; all others reach it as numbers."""
Task = Literal["binary", "multiclass", "regression"]
Metric = Literal["log_loss", "brier", "zero_one", "squared_error", "absolute_error"]
LOSSES: dict[Task, tuple[Metric, ...]] = {
    "binary": ("log_loss", "brier", "zero_one"),
    "multiclass": ("log_loss", "brier", "zero_one"),
    "regression": ("squared_error", "absolute_error"),
}
"""What each task's answers can be measured by; the first unless another is asked for."""
