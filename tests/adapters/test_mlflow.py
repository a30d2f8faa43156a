from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.types.schema import DataType
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from skops.io import dumps

from mlops import bundle
from mlops.adapters.mlflow import MlflowRegistry
from mlops.adapters.mlflow_model import signature
from mlops.adapters.mlflow_server import init_store, server_command, server_environment
from mlops.bundle import Bundle, ModelInfo, to_json
from mlops.errors import BundleError, ConfigError, ConflictError, MlopsError, UnavailableError, UsageError
from mlops.predictor import Fitted
from mlops.registry import CHALLENGER, CHAMPION, TrainingRun
from mlops.schema import Schema, parse_rows

ROOT = Path(__file__).parents[2]
SCHEMA = Schema({"temp": "number", "carrier": "category", "rain": "boolean"}, "late", "binary")
ROWS = [
    {"temp": temp, "carrier": carrier, "rain": rain}
    for temp, carrier, rain in [(1.5, "AA", True), (None, "B6", False), (20, "", None), (8.0, "ZZ", True)]
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[str]:
    init_store(home)
    port = free_port()
    process = subprocess.Popen(
        server_command(home, port),
        env={**os.environ, **server_environment()},
        stdout=(home / "server.log").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process, home / "server.log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            urlopen(f"{address}/health", timeout=2).close()
            return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    columns = parse_rows(ROWS * 5, SCHEMA)
    text = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), (SimpleImputer(), ["temp", "rain"])
    )
    model = make_pipeline(text, LogisticRegression()).fit(pd.DataFrame(columns), np.tile([True, False], 10))
    answers = Fitted(model, SCHEMA, [False, True]).predict(parse_rows(ROWS, SCHEMA))
    trusted = ["numpy.dtype"]
    info = ModelInfo("binary", [False, True], [0.5, 0.5], compiled=False, trusted=trusted)
    assert answers.scores is not None
    golden = [{"prediction": p, "score": s} for p, s in zip(answers.predictions, answers.scores, strict=True)]
    return bundle.write(
        tmp_path_factory.mktemp("build") / "bundle",
        {
            "model.skops": dumps(model),
            "module.py": b"",
            "schema.json": to_json(SCHEMA.to_dict()),
            "model.json": to_json(info.to_dict()),
            "golden.json": to_json({"rows": ROWS, "answers": golden}),
        },
    )


@pytest.fixture
def run(trained: Bundle, request: pytest.FixtureRequest) -> TrainingRun:
    return TrainingRun(
        lock_sha=f"lock of {request.node.name}",
        commit="c0ffee",
        data_md5="d" * 32 + ".dir",
        data_path="data/lake",
        rows=20,
        bundle=trained.folder,
        params={"model": {"seed": 1, "params": {}}, "train": {"window": "90d"}},
        metrics={"log_loss": 0.5, "accuracy": 0.75},
        plots={"roc.csv": b"fpr,tpr\n0,0\n1,1\n"},
        tags={"prefect.flow_run": "f1"},
    )


@pytest.fixture
def registry(server: str) -> MlflowRegistry:
    return MlflowRegistry(server, "flights")


@pytest.fixture
def client(server: str) -> MlflowClient:
    return MlflowClient(server, server)


def test_a_training_is_one_finished_run_that_says_what_it_came_from(registry, client, run, trained):
    logged = client.get_run(registry.log_run(run))
    assert logged.info.status == "FINISHED"
    assert logged.data.params == {"model.seed": "1", "model.params": "{}", "train.window": "90d"}
    assert logged.data.metrics == run.metrics
    expected = {"mlops.commit": "c0ffee", "mlops.digest": trained.digest, "prefect.flow_run": "f1"}
    assert expected.items() <= logged.data.tags.items()
    [data] = logged.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("flights", run.data_md5)
    assert [(tag.key, tag.value) for tag in data.tags] == [("mlflow.data.context", "training")]
    [plot] = client.list_artifacts(logged.info.run_id, "plots")
    assert plot.path == "plots/roc.csv"


def test_a_run_has_its_bundle_as_a_ready_model_with_the_metrics(registry, client, run):
    [output] = client.get_run(registry.log_run(run)).outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert str(model.status) == "READY"
    assert {metric.key: metric.value for metric in model.metrics} == run.metrics


def test_an_equal_lock_finds_the_run_and_force_makes_another(registry, run):
    first = registry.log_run(run)
    assert registry.find_run(run.lock_sha) == first
    assert registry.log_run(run) == first
    forced = registry.log_run(run, force=True)
    assert forced != first
    assert registry.find_run(run.lock_sha) == forced


def test_a_registry_that_never_logged_finds_nothing(server):
    empty = MlflowRegistry(server, "empty")
    assert empty.find_run("lock") is None
    assert empty.find("1") is empty.find(CHAMPION) is None
    assert empty.reap(timedelta(0)) == []


def test_mlflow_itself_loads_a_version_and_answers_as_the_bundle_does(
    registry, run, trained, server, monkeypatch
):
    version = registry.register(registry.log_run(run), trained.digest)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    model = mlflow.pyfunc.load_model(f"models:/flights/{version.version}")
    answers = model.predict(pd.DataFrame(ROWS).astype({"temp": float, "rain": object}))
    golden = pd.DataFrame(trained.golden["answers"])
    assert answers["prediction"].tolist() == golden["prediction"].tolist()
    assert answers["score"].tolist() == pytest.approx(golden["score"].tolist())
    assert model.metadata.signature.inputs.input_names() == list(SCHEMA.features)
    assert len(model.input_example) == len(ROWS)
    with pytest.raises(mlflow.exceptions.MlflowException, match="carrier"):
        model.predict(pd.DataFrame(ROWS).drop(columns="carrier"))


@pytest.mark.parametrize(
    ("task", "classes", "outputs"),
    [
        ("binary", [False, True], ["prediction: boolean (required)", "score: double (required)"]),
        ("multiclass", ["a", "b", "c"], ["prediction: string (required)", "score: Array(double) (required)"]),
        ("regression", None, ["prediction: double (required)"]),
    ],
)
def test_a_signature_tells_what_a_task_answers(task, classes, outputs, tmp_path):
    info = ModelInfo(task, classes, 0.5, compiled=True)
    files = {"model.json": to_json(info.to_dict()), "schema.json": to_json(SCHEMA.to_dict())}
    told = signature(bundle.write(tmp_path / "bundle", files))
    assert [str(column).replace("'", "") for column in told.outputs] == outputs
    assert told.inputs.input_types() == [DataType.double, DataType.string, DataType.boolean]


def test_registering_a_run_again_gives_the_version_that_exists(registry, run, trained):
    run_id = registry.log_run(run)
    version = registry.register(run_id, trained.digest, description="first", tags={"gate": "first model"})
    assert registry.register(run_id, trained.digest) == version
    assert (version.digest, version.commit, version.data_md5) == (trained.digest, run.commit, run.data_md5)
    assert version.run_id == run_id


def test_a_run_is_not_registered_as_a_bundle_it_does_not_hold(registry, run):
    with pytest.raises(ConflictError, match="not finished with 0000"):
        registry.register(registry.log_run(run), "0" * 64)


def test_an_alias_moves_to_the_version_marked_last(registry, client, run, trained):
    first = registry.register(registry.log_run(run), trained.digest)
    second = registry.register(registry.log_run(run, force=True), trained.digest)
    registry.mark(first.version, CHAMPION)
    registry.mark(second.version, CHALLENGER, tags={"gate": "promoted"})
    assert registry.find(CHAMPION).version == first.version
    registry.mark(second.version, CHAMPION)
    assert registry.find(CHAMPION).version == second.version
    assert registry.find(first.version).aliases == ()
    assert set(registry.find(second.version).aliases) == {CHAMPION, CHALLENGER}
    assert client.get_model_version("flights", second.version).tags["gate"] == "promoted"


def test_what_is_not_there_is_none_to_look_for_and_an_error_to_use(registry, run, tmp_path):
    registry.log_run(run)
    assert registry.find("4711") is None
    assert registry.find("nobody") is None
    with pytest.raises(UsageError, match="4711"):
        registry.mark("4711", CHAMPION)
    with pytest.raises(UsageError, match="no version 4711 of flights"):
        registry.fetch("4711", tmp_path / "bundle")


def test_a_fetched_bundle_is_the_one_that_was_logged(registry, run, trained, tmp_path):
    version = registry.register(registry.log_run(run), trained.digest)
    folder = registry.fetch(version.version, tmp_path / "bundles" / trained.digest)
    assert bundle.open(folder).digest == trained.digest
    assert [path.name for path in folder.parent.iterdir()] == [trained.digest]


def test_a_damaged_bundle_in_the_way_is_fetched_anew(registry, run, trained, tmp_path):
    version = registry.register(registry.log_run(run), trained.digest)
    folder = registry.fetch(version.version, tmp_path / "bundle")
    (folder / "module.py").write_text("raise SystemExit")
    registry.fetch(version.version, folder)
    assert bundle.open(folder).digest == trained.digest


def alter(stored: Path) -> None:
    with (stored / "model.skops").open("ab") as file:
        file.write(b"more")


def exchange(stored: Path) -> None:
    bundle.write(stored, {"model.skops": b"another, with a manifest of its own"})


@pytest.mark.parametrize("tamper", [alter, exchange])
def test_a_bundle_tampered_with_in_the_store_is_refused(
    tamper, registry, client, run, trained, home, tmp_path
):
    version = registry.register(registry.log_run(run), trained.digest)
    location = client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
    tamper(home / "mlflow" / "artifacts" / location.removeprefix("mlflow-artifacts:/") / "bundle")
    with pytest.raises(BundleError):
        registry.fetch(version.version, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_report_lies_among_the_artifacts_of_its_run(registry, client, run, tmp_path):
    run_id = registry.log_run(run)
    report = tmp_path / "drift.html"
    report.write_text("<html>")
    registry.attach(run_id, report)
    assert [file.path for file in client.list_artifacts(run_id, "reports")] == ["reports/drift.html"]


def test_a_training_that_fails_to_log_leaves_nothing_that_counts(registry, client, run):
    broken = TrainingRun(**{**run.__dict__, "plots": {"no/such/folder.csv": b""}})
    with pytest.raises(FileNotFoundError):
        registry.log_run(broken)
    assert registry.find_run(run.lock_sha) is None
    experiment = client.get_experiment_by_name("flights")
    [failed] = client.search_runs([experiment.experiment_id], f"tags.`mlops.lock` = '{run.lock_sha}'")
    assert failed.info.status == "FAILED"
    with pytest.raises(ConflictError, match="FAILED"):
        registry.register(failed.info.run_id, failed.data.tags["mlops.digest"])


def test_a_run_left_by_a_killed_process_is_ignored_and_reaped(server, client, run):
    registry = MlflowRegistry(server, "killed")
    registry.log_run(run)
    experiment = client.get_experiment_by_name("killed").experiment_id
    dead = client.create_run(experiment, tags={"mlops.lock": "dead"}).info.run_id
    assert registry.find_run("dead") is None
    assert registry.reap(timedelta(hours=1)) == []
    assert registry.reap(timedelta(0)) == [dead]
    assert client.get_run(dead).info.status == "KILLED"


def test_a_damaged_bundle_starts_no_run(server, client, run, trained, tmp_path):
    damaged = bundle.write(tmp_path / "bundle", {"schema.json": b"{}"}).folder
    (damaged / "schema.json").write_text("{ }")
    with pytest.raises(BundleError, match=r"schema\.json"):
        MlflowRegistry(server, "damaged").log_run(TrainingRun(**{**run.__dict__, "bundle": damaged}))
    assert client.get_experiment_by_name("damaged") is None


def test_an_experiment_deleted_by_hand_comes_back_with_the_next_run(server, client, run):
    registry = MlflowRegistry(server, "deleted")
    registry.log_run(run)
    client.delete_experiment(client.get_experiment_by_name("deleted").experiment_id)
    assert client.get_run(registry.log_run(run, force=True)).info.status == "FINISHED"


def test_logging_prints_nothing(registry, run, capfd):
    registry.log_run(run)
    assert capfd.readouterr().out == ""


def test_mlflow_reports_to_nobody():
    # In a bare process: under pytest and in CI MLflow keeps quiet by itself.
    code = """
import mlflow.telemetry, mlops.adapters.mlflow as ours
assert mlflow.telemetry.get_telemetry_client() is not None, "nothing to switch off"
ours.MlflowRegistry("http://127.0.0.1:1", "flights")
assert mlflow.telemetry.get_telemetry_client() is None
"""
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=bare, check=True)


def test_a_store_that_is_no_server_is_a_wrong_setting():
    with pytest.raises(ConfigError, match=r"environment: MLFLOW_TRACKING_URI: got 'file:///runs'"):
        MlflowRegistry("file:///runs", "flights")


def test_a_server_that_is_away_is_reported_within_seconds():
    registry = MlflowRegistry(f"http://127.0.0.1:{free_port()}", "flights")
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="MLflow does not answer at http") as caught:
        registry.find(CHAMPION)
    assert time.monotonic() - started < 5
    assert caught.value.retriable


def test_a_server_that_accepts_and_says_nothing_is_reported_within_seconds():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = MlflowRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}", "flights", timeout=0.2)
        with pytest.raises(UnavailableError, match="timed out"):
            registry.find_run("lock")


@pytest.fixture
def dying() -> Iterator[str]:
    """A server that is healthy and drops every other request."""

    class Dying(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                self.send_response(200)
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Dying) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_dies_midway_is_unavailable_too(dying):
    with pytest.raises(UnavailableError):
        MlflowRegistry(dying, "flights").find_run("lock")


def test_the_server_answers_to_its_own_name_only(server):
    asked = Request(f"{server}/api/2.0/mlflow/experiments/search", headers={"Host": "elsewhere.example"})
    with pytest.raises(HTTPError, match="403"):
        urlopen(asked, timeout=10)


def test_a_prepared_store_is_left_alone(home, server, monkeypatch):
    monkeypatch.setattr(sys, "executable", "no-such-python")
    init_store(home)


def test_a_store_that_a_newer_mlflow_used_is_named(tmp_path):
    (tmp_path / "mlflow").mkdir()
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as newer:
        newer.executescript("create table runs (a); create table alembic_version (version_num);")
        newer.execute("insert into alembic_version values ('of_tomorrow')")
    with pytest.raises(MlopsError, match=r"mlflow\.db cannot be prepared: .*of_tomorrow"):
        init_store(tmp_path)


def test_starting_the_server_imports_no_mlflow():
    code = "import sys, mlops.adapters.mlflow_server; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
