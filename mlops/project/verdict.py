"""The gate's verdict on a registered version: its backtest, the champion on the same rows, its refit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops.config.durations import format_duration
from mlops.config.paths import BACKTEST, HOLDOUT
from mlops.errors import ConflictError, NotFreshError
from mlops.evaluation import gate
from mlops.evaluation import metrics as metric
from mlops.evaluation.fresh_rows import Freshness, freshness
from mlops.evaluation.scopes import compare_scopes
from mlops.ledger.entry import Entry
from mlops.ledger.judgement import GateJudged, RefitCheck, Window
from mlops.ledger.records import ModelPromoted, ModelRegistered
from mlops.model.bundle import Bundle
from mlops.model.predictor import load
from mlops.moments import after
from mlops.project import rollback
from mlops.project.context import Project
from mlops.rows import Columns
from mlops.stages.backtest import read_backtest
from mlops.stages.io import read_rows
from mlops.stages.split import held_out
from mlops.stages.train import trained_params
from mlops.stats.blocks import blocks_of
from mlops.stats.interval import Interval, mean_interval
from mlops.tables.conform import columns_of, inputs_for
from mlops.tables.row_hashes import row_hashes
from mlops.task_types.predictions import Predictions
from mlops.training.out_of_fold import OutOfFold

__all__ = ["check_fresh", "verdict"]

Losses = NDArray[np.float64]
"""A loss per row."""


@dataclass(frozen=True)
class _Judged:
    """The rows that the folds predicted, and what they predicted of them."""

    project: Project
    rows: pd.DataFrame
    predicted: OutOfFold

    def take(self, chosen: NDArray[np.bool_]) -> _Judged:
        return _Judged(self.project, self.rows[chosen], self.predicted.take(chosen))

    @property
    def labels(self) -> Any:
        return self.rows[self.project.schema.target].to_numpy()

    @property
    def blocks(self) -> NDArray[np.int64]:
        return blocks_of(self.rows, self.project.schema, self.project.params.gate.block)

    @property
    def folds(self) -> NDArray[np.int64] | None:
        return self.predicted.fold if self.ordered else None

    @property
    def ordered(self) -> bool:
        """Whether blocks are times, with neighbours."""
        return self.project.schema.time is not None

    @property
    def losses(self) -> Losses:
        return np.asarray(self.predicted.losses(self.project.params.gate.metric, self.labels))

    @property
    def window(self) -> Window | None:
        time = self.project.schema.time
        if time is None or self.rows.empty:
            return None
        times = self.rows[time]
        return Window(times.min().to_pydatetime(), after(times.max().to_pydatetime()))


def verdict(project: Project, tree: Path, registered: Entry[ModelRegistered]) -> GateJudged:
    """Judge a registered version whose training `tree` still holds."""
    policy, promotion = project.params.gate, project.promotion
    version, against = registered.record.version, promotion.id if promotion else None
    rollback_row = rollback.find_rollback(project, registered.record.digest)
    if rollback_row is not None:
        as_version, at = rollback_row.record.replaced, rollback_row.recorded_at
        return gate.reject_rolled_back(
            policy, version=version, promotion=against, as_version=as_version, at=at
        )
    judged = _Judged(project, pd.read_parquet(tree / HOLDOUT), read_backtest(tree / BACKTEST))
    refit = _check_refit(project.bundle_of(registered), judged)
    if promotion is None:
        baseline, skill = _worth(judged)
        facts: dict[str, Any] = {"version": version, "window": judged.window}
        return gate.decide((), baseline, skill, policy, refit=refit, **facts)
    return _against_champion(judged, tree, promotion, version=version, refit=refit)


def check_fresh(project: Project, tree: Path) -> None:
    """Check, before anything is fitted, that the gate could decide about what these rows would give.

    The very training of the champion passes: it makes the champion again.

    Raises
    ------
    NotFreshError
        Too few of the rows that the folds would predict are new to the champion.
    """
    promotion, schema, policy = project.promotion, project.schema, project.params.gate
    if promotion is None:
        return
    champion = project.bundle_of(promotion)
    rows, facts = read_rows(tree / HOLDOUT, schema)
    fresh = _fresh_to_champion(project, champion, promotion, rows)
    if fresh.enough or (not schema.time and _known_rows(champion) is not None):
        return
    inputs = {"data": facts["data"], "params": trained_params(project.params)}
    if _inputs(champion.lineage) == _inputs(inputs):
        return
    version, until = promotion.record.version, promotion.record.fitted_until
    if until is not None:
        gap = format_duration(project.params.train.gap)
        known = f"was fitted on rows up to {until:%Y-%m-%d %H:%M} UTC; after that and train.gap ({gap})"
    else:
        known = "was fitted on the others;"
    raise NotFreshError(
        f"Nothing was trained: too few rows are new to the champion to compare on. Version {version} {known} "
        f"{fresh.count:,} rows in {fresh.blocks:,} blocks of time have their label; gate.min_rows is "
        f"{policy.min_rows:,}, gate.min_blocks {policy.min_blocks}.",
        remedy="Add newer rows with labels, or measure without promoting: `mlops train --set KEY=VALUE`.",
    )


def _inputs(lineage: Mapping[str, Any]) -> tuple[Any, Any]:
    return lineage["data"], lineage["params"]


def _fresh_to_champion(
    project: Project, champion: Bundle, promotion: Entry[ModelPromoted], rows: pd.DataFrame
) -> Freshness:
    known = _known_rows(champion)
    return freshness(
        rows,
        project.schema,
        project.params.gate,
        fitted_until=promotion.record.fitted_until,
        gap=project.params.train.gap,
        fitted_rows=None if known is None else known["row"].to_numpy(),
    )


def _against_champion(
    judged: _Judged, tree: Path, promotion: Entry[ModelPromoted], *, version: str, refit: RefitCheck
) -> GateJudged:
    project, policy = judged.project, judged.project.params.gate
    champion = project.bundle_of(promotion)
    fresh = _fresh_to_champion(project, champion, promotion, judged.rows)
    facts: dict[str, Any] = {
        "version": version,
        "promotion": promotion.id,
        "champion": promotion.record.version,
        "fitted_until": promotion.record.fitted_until,
    }
    if fresh.enough:
        compared = judged.take(fresh.rows)
        inputs, absent, incomplete = _champion_view(champion, judged, fresh.rows, tree)
        theirs = _losses(load(champion).predict(inputs), champion, compared)
        facts |= {"champion_columns": absent, "incomplete_rows": incomplete}
    else:
        stored = None if judged.ordered else _stored_losses(champion, judged)
        if stored is None or len(stored[1]) < policy.min_rows:
            return gate.reject_scarce(policy, rows=fresh.count, blocks=fresh.blocks, **facts)
        chosen, theirs = stored
        compared = judged.take(chosen)
        facts["is_fresh"] = False
    scopes = compare_scopes(
        compared.losses,
        theirs,
        compared.blocks,
        compared.folds,
        confidence=policy.confidence,
        ordered=judged.ordered,
        min_rows=policy.min_rows,
        min_blocks=policy.min_blocks,
    )
    baseline, skill = _worth(compared)
    return gate.decide(scopes, baseline, skill, policy, refit=refit, window=compared.window, **facts)


def _worth(judged: _Judged) -> tuple[Any, Interval]:
    """Return the comparison with a constant prediction, and the skill."""
    project, predicted, labels = judged.project, judged.predicted, judged.labels
    policy = project.params.gate
    how: dict[str, Any] = {"ordered": judged.ordered, "folds": judged.folds}
    constant = predicted.baseline_losses(policy.metric, labels)
    baseline = gate.compare(judged.losses, constant, judged.blocks, confidence=policy.confidence, **how)
    covariances = metric.skill(project.schema.task, labels, predicted.predictions, predicted.classes)
    return baseline, mean_interval(covariances, judged.blocks, confidence=policy.confidence, **how)


def _check_refit(challenger: Bundle, judged: _Judged) -> RefitCheck:
    """Check the model that ships on the rows of the newest fold."""
    newest = judged.take(judged.predicted.fold == judged.predicted.fold.max())
    predicted = load(challenger).predict(columns_of(newest.rows, challenger.schema))
    unpredicted = int((~predicted.finite()).sum())
    losses = np.full(len(newest.rows), np.nan) if unpredicted else _losses(predicted, challenger, newest)
    return gate.check_refit(
        losses,
        newest.losses,
        newest.blocks,
        unpredicted=unpredicted,
        confidence=judged.project.params.gate.confidence,
        ordered=judged.ordered,
    )


def _champion_view(
    champion: Bundle, judged: _Judged, chosen: NDArray[np.bool_], tree: Path
) -> tuple[Columns, tuple[str, ...], int]:
    """Return the chosen rows with the champion's features, whatever params.yaml has renamed or dropped since.

    Also the dropped columns, if some rows lack a value, and the number of those rows: there the values
    are missing for the champion, as they are once clients no longer send them.
    """
    rows = judged.rows
    absent = {name: type for name, type in champion.schema.features.items() if name not in rows}
    if not absent:
        return inputs_for(champion.schema, rows[chosen]), (), 0
    whole = held_out(tree, absent)
    if len(whole) != len(rows):
        raise ConflictError(f"{tree}: the data changed during the run.", remedy="Run `mlops train` again.")
    whole = whole[chosen]
    cells = whole[list(absent)]
    incomplete = int((~(cells.notna() & ~cells.isin([""])).all(axis=1)).sum())
    return inputs_for(champion.schema, whole), tuple(absent) if incomplete else (), incomplete


def _losses(predicted: Predictions, bundle: Bundle, judged: _Judged) -> Losses:
    policy = judged.project.params.gate
    return np.asarray(metric.losses(policy.metric, judged.labels, predicted, bundle.model.classes))


def _known_rows(bundle: Bundle) -> pd.DataFrame | None:
    """Return ``row``, the hashes of the fitted rows, and the out-of-fold losses of those that were scored.

    None for a model with a time column, where dates tell.
    """
    path = bundle.folder / "rows.parquet"
    return pd.read_parquet(path) if path.is_file() else None


def _stored_losses(champion: Bundle, judged: _Judged) -> tuple[NDArray[np.bool_], Losses] | None:
    """Return the rows that both backtests scored, and the champion's losses there; None without any."""
    known, metric_name = _known_rows(champion), judged.project.params.gate.metric
    if known is None or metric_name not in known:
        return None
    stored = known.set_index("row")[metric_name].dropna()
    theirs = stored.reindex(row_hashes(judged.rows, judged.project.schema))
    both = theirs.notna().to_numpy()
    return both, theirs[both].to_numpy(float)
