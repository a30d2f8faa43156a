"""The loop on real data, told once: flights out of New York City in 2013.

The first model is trained on January and February; March to September arrive as live traffic, their labels
afterwards. Every part is the real one; nothing here decides anything.

Environment
-----------
DEMO_MODEL      logistic (default) or hist
DEMO_FIRST      the month to begin with, 1 by default
DEMO_MONTHS     how many months of traffic, 7 by default
DEMO_SHUFFLE    a seed: labels are shuffled, there is nothing to learn, the gate must refuse
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from check import check, unclosed
from rich import box
from rich.console import Console
from rich.table import Table
from table import month_bounds
from table import rows as table_rows

from mlops.adapters.mlflow.links import first_page
from mlops.config.project_folder import ProjectFolder, find_project
from mlops.config.settings import load_settings
from mlops.deployment.client import Client, records
from mlops.errors import MlopsError, UsageError
from mlops.ledger.entry import Entry
from mlops.ledger.records import DeploymentServed, DriftConfirmed, RetrainFinished, RetrainRefused
from mlops.scaffold.template import stamp

HERE = Path(__file__).parents[1]
FOLDER = HERE / ".demo"
PORTS = {"GATEWAY_PORT": 8080, "GATEWAY_API_PORT": 8081, "MLFLOW_PORT": 5000, "PREFECT_PORT": 4200}
PATIENCE = 180.0

console = Console(highlight=False)


@dataclass
class Traffic:
    """Rows in the order of their event time, one request an hour of it."""

    client: Client
    folder: ProjectFolder
    frame: pd.DataFrame
    at: int = 0
    requests: int = 0
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        from mlops.schema import Schema

        self.schema = Schema.from_params(self.folder.params)
        self.hours = [hour for _, hour in self.frame.groupby(self.schema.time, sort=True)]

    def send_one(self) -> None:
        """Ask about the next hour's rows."""
        hour = self.hours[self.at]
        try:
            self.client.predict(records(hour, self.schema))
        except MlopsError as exc:
            self.failed.append(str(exc))
        self.at += 1
        self.requests += 1

    def until(self, end: datetime) -> None:
        """Ask about everything before `end`."""
        while self.at < len(self.hours) and self.hours[self.at][self.schema.time].iloc[0] < end:
            self.send_one()

    def trickle(self, done: Callable[[], bool], *, end: datetime) -> None:
        """Keep asking, a little every moment, until something is done; not past `end`."""
        deadline = time.monotonic() + PATIENCE
        while not done() and time.monotonic() < deadline:
            if self.at < len(self.hours) and self.hours[self.at][self.schema.time].iloc[0] < end:
                self.send_one()
            time.sleep(0.1)


def main() -> int:
    """Tell the story; exit 1 where a request failed, the loop did not close or a number is wrong."""
    started = time.monotonic()
    first = int(os.environ.get("DEMO_FIRST", "1"))
    served = range(first + 2, first + 2 + int(os.environ.get("DEMO_MONTHS", "7")))
    if first < 1 or not served or served[-1] > 12:
        raise UsageError(
            f"DEMO_FIRST and DEMO_MONTHS ask for months {first} to {served.stop - 1} of 2013.",
            remedy="Two months to learn from and at least one of traffic must lie in 1 to 12.",
        )
    folder = new_project()
    from mlops.adapters.prefect_server.environment import connect
    from mlops.project.context import Project
    from mlops.project.up import up

    project = Project(folder)
    say("starting Prefect, MLflow, the gateway and the runner")
    starting = Background(lambda: up(project, on_progress=lambda line: say(f"  {line}")))
    data = flights(range(first, served.stop))
    starting.join()
    connect(folder)

    learn(project, data[:2], first)
    with Client(folder.address) as client:
        traffic = Traffic(client, folder, pd.concat(data[2:]))
        for number in served:
            live(project, traffic, number, last=number == served[-1])
    return finish(project, traffic, served, started)


def new_project() -> ProjectFolder:
    """Stamp the scratch project, with ports that are free and the model that was asked for."""
    if FOLDER.exists():
        say("ending the last demo")
        from mlops.project.context import Project
        from mlops.project.down import down

        if (FOLDER / "params.yaml").exists():
            down(Project.at(FOLDER), serving=True)
        shutil.rmtree(FOLDER)
    say(f"stamping a project into {FOLDER.name}/, with its own git repository and DVC cache")
    (FOLDER / ".mlops").mkdir(parents=True)
    ports = {name: free_port(port) for name, port in PORTS.items()}
    chosen = {**ports, "BASE_IMAGE": load_settings().base_image}
    (FOLDER / ".env").write_text(
        "".join(f"MLOPS_{name}={value}\n" for name, value in chosen.items()), "utf-8"
    )
    stamp(FOLDER)
    model = os.environ.get("DEMO_MODEL", "logistic")
    params = FOLDER / "params.yaml"
    params.write_text(params.read_text("utf-8").replace("algorithm: hist ", f"algorithm: {model} "), "utf-8")
    from mlops.adapters.git.worktree import Tree

    Tree(FOLDER).commit_paths(["params.yaml"], f"Choose the model {model}")
    return find_project(FOLDER)


def flights(months: range) -> list[pd.DataFrame]:
    """Load the flights of these months, a frame each."""
    spec = importlib.util.spec_from_file_location("flights", HERE / "models" / "flights" / "source.py")
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    seed = os.environ.get("DEMO_SHUFFLE")
    whole = source.load(months=months, shuffle_seed=int(seed) if seed else None)
    whole["time_hour"] = pd.to_datetime(whole["time_hour"], utc=True)
    month = whole["time_hour"].dt.tz_convert("America/New_York").dt.month
    return [whole[month == number] for number in months]


def learn(project: Any, data: list[pd.DataFrame], first: int) -> None:
    """Two months into the lake, the first model trained and deployed."""
    folder = project.folder
    inbox = folder.home / "inbox"
    inbox.mkdir()
    for number, frame in enumerate(data, start=first):
        file = inbox / f"flights-{number:02d}.parquet"
        frame.to_parquet(file)
        say(run(folder, "ingest", file=file))
    say(run(folder, "train"))
    say(run(folder, "deploy"))
    if project.ledger.last(DeploymentServed).record.target == "process":
        say("It is a local process: `mlops --project .demo doctor` says what a container would need.")


def live(project: Any, traffic: Traffic, number: int, *, last: bool) -> None:
    """One month: rows are served, labels arrive, the window is judged; drift retrains by itself."""
    start, end = month_bounds(number)
    traffic.until(end)
    known = traffic.frame["time_hour"]
    add_labels(project, traffic.frame[(known >= start) & (known < end)], number)
    sentence = run(project.folder, "monitor", as_of=end)
    say(f"[bold]{end:%Y-%m-%d}[/] {sentence}")
    confirmed = [e for e in project.ledger.entries(DriftConfirmed) if e.as_of == end]
    if not confirmed:
        return

    def answered() -> list[Entry]:
        return project.ledger.effects(confirmed[0], RetrainFinished, RetrainRefused)

    # The next month has begun meanwhile: requests keep coming while the model is swapped.
    upto = end if last else end + timedelta(days=20)
    traffic.trickle(lambda: bool(answered()), end=upto)
    outcome = answered()
    say(
        f"           {outcome[0].record.sentence}" if outcome else "           no answer to the drift in time"
    )


def add_labels(project: Any, month: pd.DataFrame, number: int) -> None:
    """The truth about a month's rows, where there is one."""
    from mlops.project.labels import add_labels as add

    key, target = project.schema.key, project.schema.target
    file = project.folder.home / "inbox" / f"labels-{number:02d}.parquet"
    month.loc[month[target].notna(), [key, target]].to_parquet(file)
    add(project, file, by="key", skip_unknown=False)


def finish(project: Any, traffic: Traffic, months: range, started: float) -> int:
    """Show the table, check it, and say where to look."""
    rows = table_rows(project, months)
    (project.folder.home / "table.json").write_text(json.dumps(rows, indent=1), "utf-8")
    console.print(render(rows, project.params.gate.metric))
    wrong = check(FOLDER)
    if not wrong:
        say("every number recomputed from the log, the labels and the ledger")
    wrong += unclosed(FOLDER, shuffled=bool(os.environ.get("DEMO_SHUFFLE")))
    for line in wrong:
        say(f"[red]{line}[/]")
    say(f"{traffic.requests:,} requests, {len(traffic.failed)} failed; {time.monotonic() - started:.0f} s")
    for failure in traffic.failed[:3]:
        say(f"[red]{failure}[/]")
    folder = project.folder
    say(f"predictions  {folder.address}")
    say(f"experiments  {first_page(folder.mlflow_uri)}")
    say(f"flows        {folder.prefect_uri.removesuffix('/api')}")
    say("`make down` stops it all")
    return 1 if wrong or traffic.failed else 0


def _verdict(drift: dict[str, Any]) -> str:
    return "confirmed" if drift["confirmed"] else "follow-up" if drift["follow_up"] else "no"


def render(rows: list[dict[str, Any]], metric: str) -> Table:
    """Draw the table; it fits a terminal of 80 columns."""
    table = Table(
        title=f"{metric.replace('_', ' ')} of the model that served, and of the first model had it never "
        "been retrained (lower is better)",
        title_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("month", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    for name in ("drift", "decision", "version"):
        table.add_column(name, no_wrap=True)
    for name in ("served", "first"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        drift = row["drift"]
        shares = row["served"].items()
        table.add_row(
            row["month"],
            f"{row['rows']:,}",
            f"{_verdict(drift)} {drift['drifted']}/{drift['judged']}",
            row["decision"],
            ", ".join(version if share == 1 else f"{version} {share:.0%}" for version, share in shares),
            f"{row['loss']:.4f}",
            f"{row['first_loss']:.4f}",
        )
    return table


def run(folder: ProjectFolder, flow: str, **parameters: Any) -> str:
    """Run one of the project's flows here, against its Prefect server."""
    from mlops.orchestration.run_flow import load_flow

    return str(load_flow(folder, flow)(**parameters))


def free_port(wanted: int) -> int:
    """Return `wanted` where nobody listens, else the next free port above."""
    for port in range(wanted, wanted + 200, 2):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit(f"no free port from {wanted} on")


class Background(threading.Thread):
    """A call beside this one; its error is raised where it is waited for."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self._call()
        except BaseException as exc:
            self._error = exc

    def join(self, timeout: float | None = None) -> None:
        """Wait for it; raise what it raised."""
        super().join(timeout)
        if self._error is not None:
            raise self._error


def say(line: str) -> None:
    """Tell the person what happens."""
    console.print(line, soft_wrap=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MlopsError as exc:
        say(f"[red]error:[/] {exc}")
        sys.exit(exc.exit_code)
