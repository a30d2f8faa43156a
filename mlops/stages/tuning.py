"""The search that params.yaml asks for, wired to Optuna, and what a bundle records of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.config.params import Params
from mlops.files import hashing
from mlops.model.trials import Journal, Trial, best
from mlops.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

    from mlops.training.fit import Builder

__all__ = ["chosen", "journal_of", "tune"]


def tune(
    rows: pd.DataFrame,
    schema: Schema,
    build: Builder,
    params: Params,
    *,
    journal: Journal,
) -> list[Trial]:
    """Search for the best of `model.params`; no trials where `model.search` asks for none.

    Parameters
    ----------
    journal
        See `journal_of`. The caller removes it when what the trials led to is kept.
    """
    policy, model = params.model.search, params.model
    if policy is None:
        return []
    from mlops.adapters.optuna import OptunaSampler
    from mlops.training.holdout import folds
    from mlops.training.search import search

    return search(
        folds(rows, schema, count=policy.folds, gap=params.train.gap),
        schema,
        build,
        model.params,
        policy,
        seed=model.seed,
        sampler=OptunaSampler(policy.space, seed=model.seed, pruning=policy.pruning),
        journal=journal,
    )


def journal_of(folder: Path, params: Params, inputs: Sequence[str]) -> Journal:
    """Return the trials of a search that have ended, from which a search that was killed resumes.

    Parameters
    ----------
    folder
        Holds those of other searches too.
    inputs
        Digests of what is read beside params.yaml: a search of others begins anew.
    """
    # Whatever decides how a trial ends. How many there are does not: a longer search takes over those.
    named = [
        *inputs,
        params.model_dump(mode="json", include={"data", "train"}, exclude={"data": {"source"}}),
        params.model.model_dump(mode="json", exclude={"search": {"trials", "time_limit"}}),
    ]
    return Journal(folder / f"{hashing.of_value(named)}.jsonl")


def chosen(params: Params, schema: Schema, trials: Sequence[Trial]) -> dict[str, Any] | None:
    """Return what a bundle's lineage records of a search: the parameters to fit, and why those."""
    leader = best(trials)
    if leader is None:
        return None
    return {
        "params": {**params.model.params, **leader.params},
        "trial": leader.number,
        "metric": schema.task_type.default_loss,
        "loss": leader.loss,
        "trials": dict(Counter(trial.state for trial in trials)),
    }
