"""What `mlops replay` does: the project's history through the loop's decisions, policy by policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.config import consistency
from mlops.config.edit import REPLAYED_WITH, overridden
from mlops.errors import ConfigError, DataError, UsageError
from mlops.project.labelled_history import labelled_history
from mlops.replay.edges import edges_of
from mlops.replay.policies import REGISTER, parse_policy

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.project.context import Project
    from mlops.replay.played import Replayed
    from mlops.replay.player import Progress
    from mlops.replay.side_by_side import Candidate
    from mlops.replay.timeline import Timeline

__all__ = ["DEFAULT", "check_chart", "draw_chart", "replay"]

DEFAULT = ("never", "always", "params")
PRESENT = "params"
"""The settings as they are: always played, to compare with."""


def replay(
    project: Project,
    policies: Sequence[str] = DEFAULT,
    *,
    settings: Mapping[str, str] | None = None,
    start: datetime | None = None,
    step: timedelta | None = None,
    label_delay: timedelta | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Replayed:
    """Play policies over the labelled rows of the lake, and those that were served and have their label.

    Parameters
    ----------
    policies
        See `mlops.replay.policies.parse_policy`; ``params`` is added where it is not among them.
    settings
        Values by dotted path, for a further ``params`` beside that of params.yaml.
    start
        When the first model is trained; default: once the history holds its window, gap and holdout.
    step
        How often the loop decides, in event time; default: ``monitor.window``.
    label_delay
        How long a label takes; default: ``monitor.label_maturity``.

    Raises
    ------
    UsageError
        A policy or setting is unknown, or the project has no time column.
    DataError
        The history is too short, or has no labels.
    ConflictError
        Another replay of the project is running.
    """
    from mlops.replay.side_by_side import replay_all
    from mlops.replay.timeline import Timeline

    params = project.params
    _check(params)
    candidates = _candidates(project, policies, settings or {})
    rows = labelled_history(project)
    delay = params.monitor.label_maturity if label_delay is None else label_delay
    timeline = Timeline(rows, project.schema, delay)
    length = params.monitor.window if step is None else step
    edges = edges_of(timeline.times, params.train, start=start, step=length, delay=delay)
    _check_labels(timeline, edges[0])
    refusal = "Another replay of this project is running."
    with project.hold("replay", patience=0, refusal=refusal, remedy="Wait until it has ended."):
        return replay_all(
            candidates,
            timeline,
            edges=edges,
            folder=project.folder.home / "replay",
            workers=workers,
            on_progress=on_progress,
        )


def _check(params: Params) -> None:
    if params.data.time is None:
        raise UsageError(
            "A replay needs event times, and data.time names no column.",
            remedy="Name the column with each row's time in params.yaml, data.time.",
        )
    consistency.check(params)


def _check_labels(timeline: Timeline, start: datetime) -> None:
    if not timeline.labelled[timeline.before(start) :].any():
        raise DataError(
            f"No row after {start:%Y-%m-%d %H:%M} has a label: there is nothing to measure.",
            remedy="Add labels: `mlops labels add FILE` or `mlops ingest FILE`; or pass an earlier --start.",
        )


def check_chart(path: Path) -> None:
    """Check, before the work, that a chart can be drawn to a path.

    Raises
    ------
    UsageError
        It ends in neither .png nor .svg, or its folder is not there.
    """
    if path.suffix not in (".png", ".svg"):
        raise UsageError(f"--chart {path}: a chart is a .png or an .svg file.", remedy="Name it so.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--chart {path}: the folder does not exist.", remedy="Make it first.")


def draw_chart(result: Replayed, path: Path) -> None:
    """Draw the losses over time, and against the number of trainings."""
    from mlops.adapters.matplotlib import draw_replay

    path.write_bytes(draw_replay(result, path.suffix.removeprefix(".")))


def _candidates(project: Project, policies: Sequence[str], settings: Mapping[str, str]) -> list[Candidate]:
    from mlops.replay.side_by_side import Candidate
    from mlops.stages.io import builder_source
    from mlops.training.out_of_fold import Recipe

    root = project.tree or project.folder.root

    def candidate(policy: str, params: Params, changed: Mapping[str, str]) -> Candidate:
        model = params.model
        recipe = Recipe(builder_source(root, params), model.builder, model.params, model.seed, model.decision)
        if policy.partition("=")[0] not in REGISTER:
            recipe.build()  # the project's module may register it
        parse_policy(policy, params)
        return Candidate(policy, params, recipe, tuple(changed.items()))

    names = list(dict.fromkeys(name.strip() for name in policies))
    named = [*names, *([PRESENT] if PRESENT not in names else [])]
    made = [candidate(name, project.params, {}) for name in named]
    if settings:
        changed = overridden(root / "params.yaml", settings, within=REPLAYED_WITH)
        if changed.gate.metric != project.params.gate.metric:
            raise ConfigError(
                "gate.metric",
                value=changed.gate.metric,
                allowed="the project's: losses of two metrics do not compare",
            )
        consistency.check(changed)
        made.append(candidate(PRESENT, changed, settings))
    return made
