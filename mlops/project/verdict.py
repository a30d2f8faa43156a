"""The gate's verdict on a registered version: its backtest, the champion on the same rows, its refit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops.config.paths import BACKTEST, HOLDOUT
from mlops.errors import ConflictError
from mlops.evaluation import gate
from mlops.evaluation.fresh_rows import Freshness, freshness, not_fresh
from mlops.ledger.drawn_holdout import DrawnHoldout
from mlops.ledger.entry import Entry
from mlops.ledger.judgement import GateJudged, RefitCheck
from mlops.ledger.records import ModelPromoted, ModelRegistered
from mlops.model.bundle import Bundle
from mlops.model.predictor import load
from mlops.project import rollback
from mlops.project.context import Project
from mlops.rows import Columns
from mlops.stages.backtest import read_backtest
from mlops.stages.io import read_rows
from mlops.stages.split import held_out
from mlops.stages.train import trained_params
from mlops.tables.conform import columns_of, inputs_for
from mlops.tables.row_hashes import row_hashes
from mlops.task_types.predictions import from_array, probabilities
from mlops.training.judged_rows import JudgedRows, check_refit, judge_against, judge_first

__all__ = ["champion_view", "check_fresh", "verdict"]

Losses = NDArray[np.float64]
"""A loss per row."""


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
    rows, facts = read_rows(tree / HOLDOUT, project.schema)
    judged = JudgedRows(project.schema, policy, rows, read_backtest(tree / BACKTEST))
    made = _verdict(project, tree, registered, promotion, judged)
    return replace(made, drawn=DrawnHoldout(**facts["drawn"])) if "drawn" in facts else made


def _verdict(
    project: Project,
    tree: Path,
    registered: Entry[ModelRegistered],
    promotion: Entry[ModelPromoted] | None,
    judged: JudgedRows,
) -> GateJudged:
    version = registered.record.version
    refit = _check_refit(project.bundle_of(registered), judged.newest)
    if promotion is None:
        return judge_first(judged, version=version, refit=refit)
    challenger, champion = project.bundle_of(registered), project.bundle_of(promotion)
    if _differs_by_decision(challenger, champion):
        return _judge_decision(judged, challenger, champion, promotion, version=version)
    return _against_champion(project, judged, tree, promotion, version=version, refit=refit)


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
    known = _known_rows(champion)
    fresh = _fresh_to_champion(project, promotion, known, rows)
    if fresh.enough or (not schema.time and known is not None):
        return
    inputs = {"data": facts["data"], "params": trained_params(project.params)}
    if _inputs(champion.lineage) == _inputs(inputs):
        return  # it makes the champion again, or the champion with another decision rule
    raise not_fresh(
        fresh,
        policy,
        version=promotion.record.version,
        fitted_until=promotion.record.fitted_until,
        gap=project.params.train.gap,
    )


def _inputs(lineage: Mapping[str, Any]) -> tuple[Any, Any]:
    params = lineage["params"]
    model = {name: value for name, value in params["model"].items() if name not in ("threshold", "costs")}
    return lineage["data"], {**params, "model": model}


def _differs_by_decision(challenger: Bundle, champion: Bundle) -> bool:
    """Tell whether two bundles hold the same fitted model, and make labels of its scores by other rules."""
    same = challenger.model_files == champion.model_files
    return same and challenger.model.decision != champion.model.decision


def _judge_decision(
    judged: JudgedRows, challenger: Bundle, champion: Bundle, promotion: Entry[ModelPromoted], *, version: str
) -> GateJudged:
    """Promote the champion's model with the decision rule of params.yaml, and count what that changes."""
    ours, theirs = challenger.model.decision, champion.model.decision
    classes, predictions = judged.predicted.classes or (), judged.predicted.predictions
    likeliest = from_array(probabilities(predictions, classes), classes)
    new, old = (rule.decide(likeliest, classes) if rule else likeliest for rule in (ours, theirs))
    changed = sum(one != other for one, other in zip(new.values, old.values, strict=True))
    return gate.accept_decision(
        judged.policy,
        version=version,
        rows=len(new),
        changed_rows=changed,
        decision=str(ours) if ours else None,
        champion_decision=str(theirs) if theirs else None,
        promotion=promotion.id,
        champion=promotion.record.version,
        window=judged.window,
    )


def _fresh_to_champion(
    project: Project, promotion: Entry[ModelPromoted], known: pd.DataFrame | None, rows: pd.DataFrame
) -> Freshness:
    """Return which rows are new to the champion, of which `known` is what `_known_rows` gave."""
    return freshness(
        rows,
        project.schema,
        project.params.gate,
        fitted_until=promotion.record.fitted_until,
        gap=project.params.train.gap,
        fitted_rows=None if known is None else known["row"].to_numpy(),
    )


def _against_champion(
    project: Project,
    judged: JudgedRows,
    tree: Path,
    promotion: Entry[ModelPromoted],
    *,
    version: str,
    refit: RefitCheck,
) -> GateJudged:
    policy = judged.policy
    champion = project.bundle_of(promotion)
    known = _known_rows(champion)
    fresh = _fresh_to_champion(project, promotion, known, judged.rows)
    facts: dict[str, Any] = {
        "version": version,
        "promotion": promotion.id,
        "champion": promotion.record.version,
        "fitted_until": promotion.record.fitted_until,
    }
    if fresh.enough:
        compared = judged.take(fresh.rows)
        inputs, absent, incomplete = champion_view(champion, judged.rows, fresh.rows, tree)
        theirs = compared.losses_of(load(champion).predict(inputs), champion.model.classes)
        facts |= {"champion_columns": absent, "incomplete_rows": incomplete}
        return judge_against(compared, theirs, refit=refit, **facts)
    stored = None if judged.ordered else _stored_losses(known, judged)
    if stored is None or len(stored[1]) < policy.min_rows:
        return gate.reject_scarce(policy, rows=fresh.count, blocks=fresh.blocks, **facts)
    chosen, theirs = stored
    return judge_against(judged.take(chosen), theirs, refit=refit, is_fresh=False, **facts)


def _check_refit(challenger: Bundle, newest: JudgedRows) -> RefitCheck:
    predicted = load(challenger).predict(columns_of(newest.rows, challenger.schema))
    return check_refit(newest, predicted, challenger.model.classes)


def champion_view(
    champion: Bundle, rows: pd.DataFrame, chosen: NDArray[np.bool_], tree: Path
) -> tuple[Columns, tuple[str, ...], int]:
    """Return the chosen rows with the champion's features, whatever params.yaml has renamed or dropped since.

    Parameters
    ----------
    rows, chosen
        What the folds predicted, and which of it: shape (n_rows,).

    Returns
    -------
    Also the dropped columns, if some rows lack a value, and the number of those rows: there the values
    are missing for the champion, as they are once clients no longer send them.
    """
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


def _known_rows(bundle: Bundle) -> pd.DataFrame | None:
    """Return ``row`` and ``labelled``, the hashes of the fitted rows without and with their label, and the
    out-of-fold losses of those that were scored.

    None for a model with a time column, where dates tell.
    """
    path = bundle.folder / "rows.parquet"
    return pd.read_parquet(path) if path.is_file() else None


def _stored_losses(known: pd.DataFrame | None, judged: JudgedRows) -> tuple[NDArray[np.bool_], Losses] | None:
    """Return the rows that both backtests scored, and the champion's losses there; None without any."""
    metric_name = judged.policy.metric
    if known is None or metric_name not in known:
        return None
    stored = known.set_index("labelled")[metric_name].dropna()
    theirs = stored.reindex(row_hashes(judged.rows, judged.schema, labelled=True))
    both = theirs.notna().to_numpy()
    return both, theirs[both].to_numpy(float)
