"""Command `replay`: what other retraining policies would have served."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli.output import Json, key_values, parse_length, parse_time, show_progress

if TYPE_CHECKING:
    from mlops.replay.played import Played, Replayed

__all__ = ["replay", "shown_replay"]

_NARROWEST = 100


Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="POLICY",
        help="never, always, every=30d, rows=5000, on_drift, on_loss, or params for params.yaml as it is, "
        "which is always played; repeatable. Default: never, always, params.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Play params once more with this setting changed, e.g. retrain.cooldown=30d; repeatable.",
    ),
]
StepLength = Annotated[
    str | None,
    typer.Option("--step", metavar="LENGTH", help="How often the loop decides; default: monitor.window."),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="TIME",
        help="When the first model is trained, ISO 8601, UTC; default: once the history holds train.window, "
        "train.gap and train.holdout.",
    ),
]
LabelDelay = Annotated[
    str | None,
    typer.Option(
        "--label-delay", metavar="LENGTH", help="How long labels take; default: monitor.label_maturity."
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes at once; default: one a core.")
]
Chart = Annotated[
    Path | None, typer.Option("--chart", metavar="FILE", help="Draw the losses: a .png or .svg file.")
]


def replay(
    context: typer.Context,
    policy: Policies = None,
    set_: Settings = None,
    step: StepLength = None,
    start: Start = None,
    label_delay: LabelDelay = None,
    workers: Workers = None,
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Show each decision with its reason.")
    ] = False,
    chart: Chart = None,
    json: Json = False,
) -> None:
    """Play the project's history through the loop's decisions: loss and trainings, policy by policy.

    Servers are not needed, and nothing is changed. Killed, the same command resumes.
    Example: mlops replay --policy never --policy always --policy every=30d --chart replay.svg
    """
    from mlops.project.replay import DEFAULT, check_chart, draw_chart
    from mlops.project.replay import replay as replay_history

    if chart is not None:
        check_chart(chart)
    result = replay_history(
        context.obj.project(),
        policy if policy is not None else DEFAULT,
        settings=key_values(set_ or [], example="retrain.cooldown=30d"),
        start=parse_time(start),
        step=parse_length(step, "--step"),
        label_delay=parse_length(label_delay, "--label-delay"),
        workers=workers,
        on_progress=show_progress,
    )
    if chart is not None:
        draw_chart(result, chart)
    text = "" if json else shown_replay(result, decisions=decisions)
    context.obj.show(text, result.to_dict(), as_json=json)


def shown_replay(result: Replayed, *, decisions: bool) -> str:
    """Return it as lines: the table, what the present settings cost, and the decisions."""
    parts = [_table(result), *_cost(result)]
    if decisions:
        parts += [_decisions(one) for one in result.policies]
    return "\n\n".join(parts)


def _table(result: Replayed) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    heads = (
        "policy",
        result.metric.replace("_", " "),
        "trainings",
        "promoted",
        "rejected",
        "gap closed",
        "seconds",
    )
    for head in heads:
        table.add_column(head, justify="left" if head == "policy" else "right", no_wrap=True)
    for one in result.policies:
        closed = result.gap_closed(one)
        table.add_row(
            one.title,
            "-" if one.loss is None else f"{one.loss:.4f}",
            f"{one.trainings}",
            f"{one.promotions}",
            f"{one.rejections}",
            "-" if closed is None else f"{closed:.0%}",
            f"{one.seconds:.1f}",
        )
    width = max(_NARROWEST, shutil.get_terminal_size((140, 24)).columns)
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines())


def _cost(result: Replayed) -> list[str]:
    """Return what the present settings cost beside the best."""
    present, best = result.find("params"), result.best
    if present is None or best is None or present.loss is None or best.loss is None:
        return []
    trainings = f"{present.trainings} trainings"
    if present.loss <= best.loss:
        return [f"The present settings (params) have the lowest loss, {present.loss:.4f}, with {trainings}."]
    more = present.loss - best.loss
    share = f", {more / best.loss:.1%}" if best.loss > 0 else ""
    return [
        f"The present settings (params) cost {more:.4f} more than {best.title}{share}: {present.loss:.4f} "
        f"with {trainings}, against {best.loss:.4f} with {best.trainings}."
    ]


def _decisions(one: Played) -> str:
    lines = [one.title]
    for decision in one.decisions:
        first, *others = decision.sentence.splitlines()
        lines.append(f"  {decision.as_of:%Y-%m-%d %H:%M}  {decision.kind:<9} {first}")
        lines += [f"{'':29} {line}" for line in others]
    return "\n".join(lines)
