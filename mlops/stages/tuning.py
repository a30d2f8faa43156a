"""Stage `search`: the parameters chosen where params.yaml asks for it, and what a bundle records of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.config.params import Params
from mlops.config.paths import CHOSEN, LOCK, PREPARED, SEARCH, TRIALS
from mlops.files import hashing
from mlops.model.bundle import to_json
from mlops.model.trials import Journal, Trial, best
from mlops.schema import Schema
from mlops.stages.io import FORMAT, builder_source, read_params, write
from mlops.stages.split import read_plan

if TYPE_CHECKING:
    import pandas as pd

    from mlops.training.fit import Builder

__all__ = ["chosen", "journal_of", "search"]


def search(root: Path, *, journals: Path | None = None) -> None:
    """Choose the parameters by trials on the rows before the first origin, where params.yaml asks for it.

    The folds and the refit use what it chose, and the rows that they are judged on had no say in it.

    Parameters
    ----------
    journals
        Where a search that was killed left its trials; below `root` by default.
    """
    from mlops.model.trials import to_csv
    from mlops.training.fit import load_builder

    params = read_params(root)
    if params.model.search is None:
        write(root / CHOSEN, to_json({"format": FORMAT, "chosen": None}))
        write(root / TRIALS, to_csv(()))
        return
    schema = Schema.from_params(params)
    plan, _ = read_plan(root)
    source = builder_source(root, params)
    inputs = [hashing.of_file(root / PREPARED), hashing.of_file(root / LOCK), hashing.of_bytes(source)]
    journal = journal_of(journals or root / SEARCH, params, inputs)
    build = load_builder(source, params.model.builder)
    trials = tune(plan.before, schema, build, params, journal=journal)
    write(root / CHOSEN, to_json({"format": FORMAT, "chosen": chosen(params, schema, trials)}))
    write(root / TRIALS, to_csv(trials))
    journal.remove()


def tune(
    rows: pd.DataFrame,
    schema: Schema,
    build: Builder,
    params: Params,
    *,
    journal: Journal,
) -> list[Trial]:
    """Search for the best of `model.params`.

    Parameters
    ----------
    journal
        See `journal_of`. The caller removes it when what the trials led to is kept.
    """
    policy, model = params.model.search, params.model
    assert policy is not None  # the caller asks
    from mlops.adapters.optuna import OptunaSampler
    from mlops.training.cross_validation import folds
    from mlops.training.search import search as run_trials

    return run_trials(
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
        params.model.model_dump(
            mode="json", exclude={"search": {"trials", "time_limit"}, "threshold": True, "costs": True}
        ),
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
