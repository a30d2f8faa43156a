"""A small project with every real part: plums of four months, and whether each was ripe."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psutil

from mlops.adapters.git.worktree import Tree
from mlops.config.project_folder import ProjectFolder, find_project
from mlops.config.settings import Settings
from mlops.deployment.client import Client
from mlops.files.ports import free_port
from mlops.ledger.drift_report import DriftReport
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.ledger.records import DriftChecked, DriftConfirmed, RetrainFinished, RetrainRefused
from mlops.ledger.served_window import ServedWindow
from mlops.project.context import Project
from mlops.scaffold.template import stamp
from tests.patience import EVENT_PATIENCE, until

BEGIN = pd.Timestamp(2026, 1, 1, tz="UTC")
HISTORY = 24
SEASON = 20
A_DAY = 40
PORTS = ("GATEWAY_PORT", "GATEWAY_API_PORT", "MLFLOW_PORT", "PREFECT_PORT")
EXTRA_EVENTS = 1

PARAMS = """\
data:
  name: {name}
  target: ripe
  time: picked
  key: plum
  features:
    size: number
    heat: number
    colour: category

model:
  builder: models/plums/model.py
  task: binary
  params:
    hold: {hold}
    strength: 1.0
    rate: 6e-2      # these three read otherwise by YAML 1.1; the model has no use for them
    mode: on
    code: 012
  seed: 7

train:
  window: 13d
  holdout: 5d
  gap: 1d

gate:
  min_rows: 100

monitor:
  window: 6d
  min_rows: 100
  confirm: 1
  of: 1

retrain:
  cooldown: 6d
  min_rows: 200

deploy:
  target: {target}
"""

MODEL = '''"""Is a plum ripe? A logistic regression, which waits to be fitted while somebody holds it."""

import os
import time
from pathlib import Path

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def build(params, schema):
    hold = Path(params["hold"])
    deadline = time.monotonic() + 120
    while hold.exists() and time.monotonic() < deadline:
        hold.with_suffix(".pid").write_text(str(os.getpid()))
        time.sleep(0.05)
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["colour"]), ("passthrough", ["size", "heat"])
    )
    return make_pipeline(encode, LogisticRegression(C=params["strength"], max_iter=300))
'''


def plums(first_day: int, days: int, *, season: int) -> pd.DataFrame:
    """Return the plums of some days; each season they are of another size, and ripen otherwise."""
    rng = np.random.default_rng([first_day, season])
    n = days * A_DAY
    size, heat = rng.normal(4 + 2 * season, 1.0, n), rng.normal(20, 4, n)
    slope = 1.5 if season % 2 == 0 else -1.5
    chance = 1 / (1 + np.exp(-(slope * (size - 4 - 2 * season) + 0.1 * (heat - 20))))
    day = np.repeat(np.arange(days), A_DAY)
    hour = np.tile(np.arange(A_DAY) % 24, days)
    return pd.DataFrame(
        {
            "plum": [f"p{first_day}-{i}" for i in range(n)],
            "picked": BEGIN + pd.to_timedelta(first_day + day, "D") + pd.to_timedelta(hour, "h"),
            "size": size,
            "heat": heat,
            "colour": rng.choice(["red", "blue", "yellow"], n),
            "ripe": rng.random(n) < chance,
        }
    ).sort_values("picked", kind="stable", ignore_index=True)


@contextmanager
def bare(folder: Path) -> Iterator[Project]:
    """A project of plums with a ledger, and nothing in it."""
    (folder / "params.yaml").write_text(PARAMS.format(name="plums", hold=folder / "hold", target="process"))
    project = Project(ProjectFolder(folder, Settings()))
    yield project
    project.ledger.close()


def stamped(folder: Path, *, target: str = "process", name: str = "plums", extra: str = "") -> Path:
    """Stamp a project for the plums into a folder, and return its root."""
    ports = {port: free_port() for port in PORTS}
    folder.mkdir(parents=True)
    env = "".join(f"MLOPS_{port}={number}\n" for port, number in ports.items())
    (folder / ".env").write_text(env + extra)
    stamp(folder)
    module = folder / "models" / "plums" / "model.py"
    module.parent.mkdir()
    module.write_text(MODEL)
    hold = folder / ".mlops" / "hold"
    (folder / "params.yaml").write_text(PARAMS.format(name=name, hold=hold, target=target))
    graph = folder / "dvc.yaml"
    graph.write_text(graph.read_text().replace("models/flights/model.py", "models/plums/model.py"))
    Tree(folder).commit_paths(["models", "params.yaml", "dvc.yaml"], "Tell of plums")
    return folder


@dataclass
class Told:
    """What a verb of the command line said."""

    code: int
    out: str
    err: str
    seconds: float


def mlops(root: Path, *words: str, environment: Mapping[str, str] | None = None) -> Told:
    """Run a verb in a process of its own."""
    started = time.monotonic()
    program = "import sys; from mlops.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "--project", str(root), *words],
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        check=False,
        timeout=240,
    )
    return Told(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


def family(root: int) -> list[psutil.Process]:
    """Return a part's process and what it started, but a model service, which has a session of its own."""
    process = psutil.Process(root)
    every = [process, *process.children(recursive=True)]
    return [each for each in every if os.getsid(each.pid) == os.getsid(root)]


class Orchard:
    """The project while its parts run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._day = HISTORY
        self._season = 0

    @property
    def project(self) -> Project:
        """The project, as its files are now."""
        return Project.at(self.root)

    @property
    def hold(self) -> Path:
        """While this file exists, a training waits in its fit, and writes its pid beside."""
        return self.root / ".mlops" / "hold"

    def release(self) -> None:
        """Let a training that waits in its fit go on."""
        self.hold.unlink(missing_ok=True)
        self.hold.with_suffix(".pid").unlink(missing_ok=True)

    def mlops(self, *words: str, environment: Mapping[str, str] | None = None) -> Told:
        """Run a verb in a process of its own."""
        return mlops(self.root, *words, environment=environment)

    def flow(self, name: str, **parameters: Any) -> Any:
        """Run a flow here and now, against the project's own Prefect."""
        from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_EXTRA_LOGGERS, temporary_settings

        from mlops.orchestration.run_flow import run_flow

        folder = find_project(self.root)
        with temporary_settings(
            {PREFECT_API_URL: folder.prefect_uri, PREFECT_LOGGING_EXTRA_LOGGERS: "mlops"}
        ):
            return run_flow(folder, name, **parameters)

    def season(self, *, new: bool = True, labelled: bool = True) -> datetime:
        """Serve three weeks of plums and learn which were ripe; return when they have all been told."""
        self._season += new
        rows = plums(self._day, SEASON, season=self._season)
        project = self.project
        with Client(project.folder.address) as client:
            for _ in client.predict_frame(rows, project.schema, batch=200):
                pass
        if labelled:
            from mlops.project.labels import add_labels

            file = self.root / ".mlops" / "labels.parquet"
            rows[["plum", "ripe"]].to_parquet(file)
            add_labels(project, file, by="key", skip_unknown=False)
        self._day += SEASON
        end: datetime = (BEGIN + timedelta(days=self._day)).to_pydatetime()
        # Two days later every label is old enough; no row of the next weeks is older than that.
        self._day += 2
        return end + timedelta(days=1)

    def drift(self, as_of: datetime) -> Entry[DriftConfirmed]:
        """Record confirmed drift and tell nobody."""
        from mlops.orchestration.tasks import retrain

        project = self.project
        champion = project.promoted()
        verdict = DriftChecked(
            version=champion.record.version,
            raised=True,
            confirmed=True,
            report=DriftReport(ServedWindow(as_of, as_of, 0), 0, (), 0.0, drifted=True),
        )
        return retrain.confirm(project, project.ledger.record(verdict, cause=champion, as_of=as_of))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what Prefect answers, None where that is nothing."""
        address = f"{self.project.folder.prefect_uri}{path}"

        def answer() -> httpx.Response | None:
            # Longer than it waits for its database; where that is busy it says so, to be asked again.
            came = httpx.request(method, address, json=body, timeout=90, trust_env=False)
            return None if came.status_code == httpx.codes.SERVICE_UNAVAILABLE else came

        answered: httpx.Response = until(f"answer to {method} {path}", answer)
        answered.raise_for_status()
        return answered.json() if answered.content else None

    def runs(self, drift: Entry[DriftConfirmed]) -> list[dict[str, Any]]:
        """The runs of flows that this drift is the cause of, as Prefect tells them."""
        wanted = {"deployments": {"name": {"any_": [self.project.params.data.name]}}}
        found = self.ask("POST", "/flow_runs/filter", wanted)
        return [run for run in found if run["parameters"].get("cause") == drift.id]

    def ended(self, drift: Entry[DriftConfirmed], number: int) -> bool:
        """Whether this many runs came of a drift, and all of them have ended."""
        runs = self.runs(drift)
        ends = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        return len(runs) >= number and all(run["state_type"] in ends for run in runs)

    def emit(self, drift: Entry[DriftConfirmed], *, times: int = 1) -> None:
        """Send the event of confirmed drift to the project's Prefect, over HTTP."""
        import uuid

        from mlops.orchestration.tasks.monitor import DRIFT_EVENT, model_resource

        project = self.project
        assert drift.as_of is not None
        events = [
            {
                "id": str(uuid.uuid4()),
                "occurred": pd.Timestamp.now(tz="UTC").isoformat(),
                "event": DRIFT_EVENT,
                "resource": {"prefect.resource.id": model_resource(project.params.data.name)},
                "payload": {"cause": drift.id, "as_of": drift.as_of.isoformat()},
            }
            for _ in range(times)
        ]
        self.ask("POST", "/events", events)

    def effects(self, cause: Entry[Record], *kinds: type[Record]) -> list[Entry[Any]]:
        """Return the ledger's rows of these kinds that `cause` made happen."""
        return self.project.ledger.effects(cause, *kinds)

    def answer(self, drift: Entry[DriftConfirmed]) -> Entry[Any]:
        """Wait for a retraining to answer confirmed drift, and to leave its place to the next."""
        found: list[Entry[Any]] = until(
            f"answer to the drift {drift.id}",
            lambda: self.effects(drift, RetrainFinished, RetrainRefused),
        )
        with self.project.lock("retrain", patience=EVENT_PATIENCE):
            return found[0]


@dataclass
class Requests:
    """Questions that never stop: how many were answered, by which versions, and what failed."""

    answered: int
    failed: list[str]
    versions: set[str]


@dataclass
class Closed:
    """The loop closed once, as a person found it before and after."""

    orchard: Orchard
    drift: Entry[DriftConfirmed]
    sentences: tuple[str, str]
    before: str
    answer: Entry[Any]
    requests: Requests
    person_before: str
    person_after: str
