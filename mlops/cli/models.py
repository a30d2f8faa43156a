"""Verbs that make and place models: train, monitor, retrain, deploy by their flows; rollback, reproduce."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mlops.cli.output import AsOf, Json, Screen, as_of_option, parse_time, tell
from mlops.errors import UsageError
from mlops.ledger.outcome import Outcome

__all__ = ["add_to", "run"]


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the program."""
    for verb in (train, monitor, retrain, deploy, rollback, reproduce):
        app.command()(verb)


def run(screen: Screen, flow: str, *, as_json: bool, **parameters: Any) -> None:
    """Run a flow of the project here and now, against its Prefect, and show how it ended."""
    from mlops.adapters.prefect_server.environment import connect
    from mlops.orchestration.run_flow import run_flow
    from mlops.project import services
    from mlops.project.health import check_own

    project = screen.project()
    services.ensure(project, told=tell)
    check_own(project, "prefect")
    connect(project.folder)
    _show(screen, flow, run_flow(project.folder, flow, **parameters), as_json=as_json)


def _show(screen: Screen, flow: str, outcome: Outcome, *, as_json: bool) -> None:
    result = {"flow": flow, "result": outcome.text, "refused": outcome.refused}
    screen.show(outcome.text, result, as_json=as_json)
    if outcome.refused:
        raise typer.Exit(3)


def train(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Run every stage even if nothing changed.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a parameter for this run, e.g. model.params.max_depth=6; repeatable.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train on the newest data version; the gate decides whether the model is promoted.

    Once a model is deployed, a running loop deploys what is promoted.
    If nothing changed, no flow is started: the existing run and verdict are shown again.
    With --set it trains at your last commit, on a branch of its own. Example: mlops train
    """
    from mlops.project.up_to_date import settled

    overrides = _overrides(set_ or [])
    standing = None if force or overrides else settled(context.obj.project())
    if standing is not None:
        _show(context.obj, "train", standing, as_json=json)
        return
    # A project's own flow may be of a time before there were any.
    asked = {"overrides": overrides} if overrides else {}
    run(context.obj, "train", as_json=json, force=force, **asked)


def _overrides(words: list[str]) -> dict[str, str]:
    """Read what --set was given.

    Raises
    ------
    UsageError
        It is no KEY=VALUE, or gives a key twice.
    """
    given: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {word} is no KEY=VALUE.", remedy="Write it as model.params.max_depth=6.")
        if key.strip() in given:
            raise UsageError(f"--set gives {key.strip()} twice.", remedy="Give it once.")
        given[key.strip()] = value.strip()
    return given


def monitor(context: typer.Context, as_of: AsOf = None, json: Json = False) -> None:
    """Judge the window of served rows that ends at --as-of; confirmed drift starts a retraining.

    Example: mlops monitor --as-of 2013-04-01
    """
    run(context.obj, "monitor", as_json=json, as_of=parse_time(as_of))


def retrain(
    context: typer.Context,
    as_of: Annotated[
        str | None,
        as_of_option(
            "Event time to act as of, ISO 8601, UTC; default: the newest row served, or the newest labelled "
            "row of the lake if that is later."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train on served rows that now have labels; deploy the model if it proves better.

    Example: mlops retrain --as-of 2013-04-01
    """
    run(context.obj, "retrain", as_json=json, as_of=parse_time(as_of))


def deploy(context: typer.Context, json: Json = False) -> None:
    """Put the promoted model behind the gateway without failing a request.

    Example: mlops deploy
    """
    run(context.obj, "deploy", as_json=json)


def rollback(
    context: typer.Context,
    version: Annotated[
        str | None,
        typer.Argument(
            help="A version that was promoted once; default: the one promoted before the champion."
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the ledger.")
    ] = None,
    json: Json = False,
) -> None:
    """Put an earlier version back in the champion's place, without failing a request.

    The model that is taken away is not promoted again by itself: only newer data or other parameters,
    with which another model proves better, bring the next one.
    Example: mlops rollback --reason "too many false alarms"
    """
    from mlops.project import rollback as rolling
    from mlops.project import services

    project = context.obj.project()
    services.ensure(project, told=tell)  # MLflow may have to give the bundle
    promoted = rolling.put_back(project, version, reason=reason or "")
    if project.ledger.last("deployment.started") is None:
        text = f"Version {promoted.body['version']} is the champion. Nothing was deployed yet."
        context.obj.show(text, {"flow": None, "result": text, "refused": False}, as_json=json)
        return
    run(context.obj, "deploy", as_json=json)


def reproduce(
    context: typer.Context,
    version: Annotated[
        str | None,
        typer.Argument(help="A registered version, by number or alias; default: the champion."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare only; remove the scratch work tree afterwards.")
    ] = False,
    json: Json = False,
) -> None:
    """Rebuild a registered version from its commit and data, and say whether it is the same.

    Exit 3 if it is not: the first input that differs is named.
    Example: mlops reproduce 3 --verify
    """
    from mlops.project import reproduce as reproducing

    project = context.obj.project()
    again = reproducing.reproduce(project, reproducing.find(project, version), keep=not verify)
    subject, result = again.subject, again.result
    lines = [f"Version {subject.version}, commit {subject.commit[:12]}. {result.sentence}"]
    lines += [f"  {one}" for one in result.differences[1:]]
    lines += [f"It was made again in {again.tree}."] if again.tree else []
    told = {"version": subject.version, "commit": subject.commit, **result.to_dict(), "tree": again.tree}
    context.obj.show("\n".join(lines), told, as_json=json)
    if not result.identical:
        raise typer.Exit(3)
