from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
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
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from skops.io import dumps

from mlops.adapters.mlflow import nested_runs
from mlops.adapters.mlflow import run as mlflow_run
from mlops.adapters.mlflow.mlmodel import signature
from mlops.adapters.mlflow.server import init_store, server_command, server_environment
from mlops.adapters.mlflow.tracking import MlflowRegistry
from mlops.errors import (
    BundleError,
    ConfigError,
    ConflictError,
    MlopsError,
    NameTakenError,
    UnavailableError,
    UsageError,
)
from mlops.files.ports import free_port
from mlops.model import bundle
from mlops.model.bundle import Bundle, ModelInfo, to_json
from mlops.model.predictor import Fitted
from mlops.model.registry import CHALLENGER, CHAMPION, FLOW_RUN, RowsUsed, TrainingRun
from mlops.model.trials import Trial
from mlops.rows import parse_rows
from mlops.schema import Schema
from mlops.tables.conform import columns_of, conform
from tests.patience import until

ROOT = Path(__file__).parents[2]
SCHEMA = Schema({"temp": "number", "carrier": "category", "rain": "boolean"}, "late", "binary")
ROWS = [
    {"temp": temp, "carrier": carrier, "rain": rain}
    for temp, carrier, rain in [(1.5, "AA", True), (None, "B6", False), (20, "", None), (8.0, "ZZ", True)]
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[str]:
    init_store(home)
    port = free_port()
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            server_command(home, port),
            env={**os.environ, **server_environment()},
            stdout=log,
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
    def healthy() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            urlopen(f"{address}/health", timeout=2).close()
        except (URLError, OSError):
            return False
        return True

    until("MLflow", healthy, patience=120)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    columns = parse_rows(ROWS * 5, SCHEMA)
    text = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), (SimpleImputer(), ["temp", "rain"])
    )
    model = make_pipeline(text, LogisticRegression()).fit(
        pd.DataFrame(dict(columns)), np.tile([True, False], 10)
    )
    answers = Fitted(model, SCHEMA, [False, True]).predict(parse_rows(ROWS, SCHEMA))
    trusted = ["numpy.dtype"]
    info = ModelInfo("binary", [False, True], [0.5, 0.5], compiled=False, trusted=trusted)
    assert answers.scores is not None
    golden = [{"prediction": p, "score": s} for p, s in zip(answers.values, answers.scores, strict=True)]
    return bundle.write(
        tmp_path_factory.mktemp("build") / "bundle",
        {
            "model.skops": dumps(model),
            "module.py": b"",
            "schema.json": to_json(SCHEMA.to_dict()),
            "model.json": to_json(info.to_dict()),
            "golden.json": to_json({"rows": ROWS, "predictions": golden}),
        },
    )


@pytest.fixture
def run(trained: Bundle, request: pytest.FixtureRequest) -> TrainingRun:
    return TrainingRun(
        lock_sha=f"lock of {request.node.name}",
        commit="c0ffee",
        data_md5="d" * 32 + ".dir",
        data_path="data/lake",
        bundle=trained.folder,
        name="train 2013-02-28 · 20 rows",
        description="Predicts `late`.",
        source="flows/train.py",
        branch="main",
        rows=[
            RowsUsed("flights-train", "training", "1" * 32, "data/train.parquet", 20),
            RowsUsed("flights-holdout", "evaluation", "2" * 32, "data/holdout.parquet", 7),
        ],
        params={"model": {"seed": 1, "params": {}}, "train": {"window": "90d"}},
        metrics={"holdout/log_loss": 0.5, "holdout_baseline/log_loss": 0.75},
        plots={
            "roc.csv": b"false_positive_rate,true_positive_rate\n0,0\n1,1\n",
            "residuals.csv": b"predicted,residual\n",
        },
        card="# flights: late\n",
        tags={"mlops.flow_run": "f1"},
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
    expected = {"mlops.commit": "c0ffee", "mlops.digest": trained.digest, "mlops.flow_run": "f1"}
    assert expected.items() <= logged.data.tags.items()


def test_a_run_has_a_name_a_note_a_source_and_a_user_for_mlflows_own_columns(registry, client, run):
    logged = client.get_run(registry.log_run(run))
    assert logged.info.run_name == "train 2013-02-28 · 20 rows"
    tags = {
        "mlflow.note.content": "Predicts `late`.",
        "mlflow.source.name": "flows/train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": "c0ffee",
        "mlflow.source.git.branch": "main",
    }
    assert tags.items() <= logged.data.tags.items()
    assert logged.data.tags["mlflow.user"]


def test_a_user_without_a_name_trains_too(run, trained, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    raised = mlflow_run.tags(run, trained)
    assert "mlflow.user" not in raised
    assert raised["mlops.digest"] == trained.digest


def test_a_run_names_the_rows_it_was_fitted_and_measured_on(registry, client, run):
    fitted, held = client.get_run(registry.log_run(run)).inputs.dataset_inputs
    for given, rows, context in ((fitted, run.rows[0], "training"), (held, run.rows[1], "evaluation")):
        assert (given.dataset.name, given.dataset.digest) == (rows.name, rows.digest)
        assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", context)]
        source = {"uri": "data/lake", "version": run.data_md5, "rows": rows.path}
        assert json.loads(given.dataset.source) == source
        assert json.loads(given.dataset.profile)["num_rows"] == rows.rows
        columns = json.loads(given.dataset.schema)["mlflow_colspec"]
        assert [column["name"] for column in columns] == [*SCHEMA.features, SCHEMA.target]


def test_a_run_shows_its_card_and_each_table_that_has_rows_as_a_picture(registry, client, run, tmp_path):
    run_id = registry.log_run(run)
    assert [file.path for file in client.list_artifacts(run_id)] == ["model_card.md", "plots"]
    plots = [file.path for file in client.list_artifacts(run_id, "plots")]
    assert plots == ["plots/residuals.csv", "plots/roc.csv", "plots/roc.png"]
    card = client.download_artifacts(run_id, "model_card.md", str(tmp_path))
    assert Path(card).read_text(encoding="utf-8") == run.card


def test_what_is_measured_later_is_a_line_that_the_same_again_does_not_bend(registry, client, run):
    run_id = registry.log_run(run)
    for _ in range(2):
        for day, share in ((1, 0.25), (8, 0.5)):
            at = datetime(2013, 3, day, tzinfo=UTC)
            registry.measure(run_id, {"monitor/drifted_share": share}, at=at, step=day)
    line = client.get_metric_history(run_id, "monitor/drifted_share")
    assert [(point.step, point.value) for point in line] == [(1, 0.25), (8, 0.5)]
    assert line[0].timestamp == datetime(2013, 3, 1, tzinfo=UTC).timestamp() * 1000
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_window_before_1970_is_measured_too(registry, client, run):
    run_id = registry.log_run(run)
    for year in (1949, 1966, 2013):
        registry.measure(run_id, {"monitor/rows": 7.0}, at=datetime(year, 3, 1, tzinfo=UTC), step=year)
    line = client.get_metric_history(run_id, "monitor/rows")
    stamps = {point.step: point.timestamp for point in line}
    assert stamps == {1949: 0, 1966: 0, 2013: datetime(2013, 3, 1, tzinfo=UTC).timestamp() * 1000}


def test_what_we_say_of_a_project_follows_it_until_a_person_says_more(server, client, run, trained):
    def raised(about: str) -> tuple[str, str]:
        registry = MlflowRegistry(server, "raised", about=about)
        registry.register(registry.log_run(run, force=True), trained.digest)
        experiment = client.get_experiment_by_name("raised")
        assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
        model = client.get_registered_model("raised")
        return experiment.tags.get("mlflow.note.content", ""), model.description or ""

    assert raised("") == ("", "")
    for about in ("Plums.", "Ripe plums."):
        note, description = raised(about)
        assert note == description
        assert note.startswith(f"{about}\n\n")
    client.set_experiment_tag(
        client.get_experiment_by_name("raised").experiment_id, "mlflow.note.content", "M"
    )
    client.update_registered_model("raised", "Mine.")
    assert raised("Other plums.") == ("M", "Mine.")


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
    assert empty.reap("f1") == []


def test_a_notebooks_own_mlflow_and_proxy_are_neither_used_nor_lost(server, registry, run, monkeypatch):
    theirs = {
        "MLFLOW_REGISTRY_URI": "http://127.0.0.1:9", "MLFLOW_TRACKING_AUTH": "theirs",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "0", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "",
    }  # fmt: skip
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("no_proxy", raising=False)
    before = dict(os.environ)
    logged = registry.log_run(run)
    assert registry.find_run(run.lock_sha) == logged
    assert dict(os.environ) == before


def test_mlflow_itself_loads_a_version_and_answers_as_the_bundle_does(
    registry, run, trained, server, monkeypatch
):
    version = registry.register(registry.log_run(run), trained.digest)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    model = mlflow.pyfunc.load_model(f"models:/flights/{version.version}")
    answers = model.predict(pd.DataFrame(ROWS), params={"scores": True})
    golden = pd.DataFrame(trained.golden["predictions"])
    assert answers["prediction"].tolist() == golden["prediction"].tolist()
    assert answers["score"].tolist() == pytest.approx(golden["score"].tolist())
    assert model.metadata.signature.inputs.input_names() == list(SCHEMA.features)
    assert len(model.input_example) == len(ROWS)
    with pytest.raises(mlflow.exceptions.MlflowException, match="carrier"):
        model.predict(pd.DataFrame(ROWS).drop(columns="carrier"))


TRIPS = Schema({"miles": "number", "zone": "category", "left": "date"}, "fare", "regression")
LABELS = {"binary": [0, 1], "multiclass": ["high", "low", "middle"], "regression": None}


def trips() -> pd.DataFrame:
    """Rows as pandas has them: whole numbers, codes as numbers, times, and none of it missing."""
    n = np.arange(60)
    left = pd.Timestamp("2026-01-01") + pd.to_timedelta(n, "h")
    return pd.DataFrame({"miles": n % 7, "zone": n % 3, "left": left, "fare": 2.5 * (n % 7) + 1})


@pytest.fixture(params=LABELS)
def of_task(
    request: pytest.FixtureRequest, tmp_path: Path, run: TrainingRun
) -> tuple[TrainingRun, pd.DataFrame]:
    """A model of each task, and a table with its target."""
    task, classes, table = request.param, LABELS[request.param], trips()
    schema = dataclasses.replace(TRIPS, task=task)
    if classes:
        table["fare"] = np.asarray(classes)[(table["miles"] % len(classes)).to_numpy()]
    columns = columns_of(conform(table, schema), schema)
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["zone"]), (SimpleImputer(), ["miles"])
    )
    fitted = make_pipeline(encode, LogisticRegression() if classes else LinearRegression())
    fitted.fit(pd.DataFrame(dict(columns)), table["fare"])
    prior = [1 / len(classes)] * len(classes) if classes else float(table["fare"].mean())
    info = ModelInfo(task, classes, prior, compiled=False, trusted=["numpy.dtype"])
    row = {"miles": 1.0, "zone": "1", "left": "2026-01-01T01:00:00+00:00"}
    files = {
        "model.skops": dumps(fitted),
        "module.py": b"# of a task\n",
        "schema.json": to_json(schema.to_dict()),
        "model.json": to_json(info.to_dict()),
        "golden.json": to_json({"rows": [row], "predictions": []}),
    }
    made = bundle.write(tmp_path / "bundle", files)
    return dataclasses.replace(run, bundle=made.folder), table


@pytest.mark.filterwarnings("ignore::Warning")  # MLflow's evaluation draws and calls what is deprecated
def test_mlflow_predicts_evaluates_and_loads_the_estimator_of_a_table_as_pandas_has_it(
    registry, of_task, server, monkeypatch
):
    training, table = of_task
    version = registry.register(registry.log_run(training), bundle.open(training.bundle).digest)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    address = f"models:/flights/{version.version}"
    schema = bundle.open(training.bundle).schema
    model = mlflow.pyfunc.load_model(address)
    predicted = model.predict(table.drop(columns="fare"))
    assert predicted.shape == (len(table),)
    assert list(model.predict(table, params={"scores": True})) == ["prediction", "score"]
    labels = LABELS[schema.task] is not None
    judged = mlflow.models.evaluate(
        address, table, targets="fare", model_type="classifier" if labels else "regressor"
    )
    correct = float((predicted == table["fare"]).mean())
    error = float((predicted - table["fare"]).abs().mean()) if not labels else 0.0
    name, value = ("accuracy_score", correct) if labels else ("mean_absolute_error", error)
    assert judged.metrics[name] == pytest.approx(value)
    estimator = mlflow.sklearn.load_model(address)
    inputs = pd.DataFrame(dict(columns_of(conform(table, schema), schema)))
    assert list(estimator.predict(inputs)) == pytest.approx(predicted.tolist())


@pytest.mark.parametrize(
    ("task", "classes", "output"),
    [
        ("binary", [False, True], "prediction: boolean (required)"),
        ("multiclass", ["a", "b", "c"], "prediction: string (required)"),
        ("regression", None, "prediction: double (required)"),
    ],
)
def test_a_signature_names_the_inputs_and_tells_what_a_task_answers(task, classes, output, tmp_path):
    info = ModelInfo(task, classes, 0.5, compiled=True)
    files = {"model.json": to_json(info.to_dict()), "schema.json": to_json(SCHEMA.to_dict())}
    raised = signature(bundle.write(tmp_path / "bundle", files))
    assert [str(column).replace("'", "") for column in raised.outputs] == [output]
    assert raised.inputs.input_names() == list(SCHEMA.features)
    assert [param.name for param in raised.params] == ["scores"]


def test_registering_a_run_again_gives_the_version_that_exists(registry, client, run, trained):
    run_id = registry.log_run(run)
    version = registry.register(run_id, trained.digest, description="first", tags={"own": "tag"})
    assert registry.register(run_id, trained.digest, description="second") == version
    registered = client.get_model_version("flights", version.version)
    assert registered.description == "first"
    assert {"own": "tag", "mlops.digest": trained.digest}.items() <= registered.tags.items()
    assert (version.digest, version.commit, version.data_md5) == (trained.digest, run.commit, run.data_md5)
    assert version.run_id == run_id


def test_a_run_is_not_registered_as_a_bundle_it_does_not_hold(registry, run):
    with pytest.raises(ConflictError, match="expected FINISHED with 0000"):
        registry.register(registry.log_run(run), "0" * 64)


def test_an_alias_moves_to_the_version_marked_last(registry, client, run, trained):
    first = registry.register(registry.log_run(run), trained.digest)
    second = registry.register(registry.log_run(run, force=True), trained.digest)
    registry.mark(first.version, CHAMPION)
    registry.mark(second.version, CHALLENGER)
    assert registry.find(CHAMPION).version == first.version
    assert registry.find(second.version).aliases == (CHALLENGER,)
    registry.mark(second.version, CHAMPION)
    assert registry.find(CHAMPION).version == second.version
    assert registry.find(first.version).aliases == ()


def test_a_champion_is_nobodys_challenger(registry, run, trained):
    version = registry.register(registry.log_run(run), trained.digest).version
    registry.mark(version, CHALLENGER)
    for _ in range(2):
        registry.mark(version, CHAMPION)
        assert registry.find(version).aliases == (CHAMPION,)
        assert registry.find(CHALLENGER) is None


def test_a_champion_leaves_the_challenger_that_came_since(registry, run, trained):
    first = registry.register(registry.log_run(run), trained.digest).version
    second = registry.register(registry.log_run(run, force=True), trained.digest).version
    registry.mark(second, CHALLENGER)
    registry.mark(first, CHAMPION)
    assert registry.find(CHALLENGER).version == second


def test_a_mark_is_found_on_the_version_and_on_its_run(registry, client, run, trained):
    version = registry.register(registry.log_run(run), trained.digest)
    registry.mark(version.version, tags={"mlops.gate": "promoted"})
    assert client.get_model_version("flights", version.version).tags["mlops.gate"] == "promoted"
    experiment = client.get_experiment_by_name("flights").experiment_id
    found = client.search_runs([experiment], "tags.`mlops.gate` = 'promoted'")
    assert [one.info.run_id for one in found] == [version.run_id]


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
    dead = client.create_run(experiment, tags={"mlops.lock": "dead", FLOW_RUN: "f1"}).info.run_id
    assert registry.find_run("dead") is None
    assert registry.reap("another") == []
    assert registry.reap("f1") == [dead]
    assert client.get_run(dead).info.status == "KILLED"


@pytest.fixture
def searched(run: TrainingRun) -> TrainingRun:
    trials = [
        Trial(1, "complete", {"depth": 3}, (0.5, 0.25)),
        Trial(2, "pruned", {"depth": 1}, (0.75,)),
        Trial(3, "failed", {"depth": -1}, (), "ValueError: no such depth"),
    ]
    return dataclasses.replace(run, trials=trials, loss="log_loss")


def within(client: MlflowClient, run_id: str) -> list[mlflow.entities.Run]:
    experiments = [found.experiment_id for found in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`mlflow.parentRunId` = '{run_id}'")
    return sorted(found, key=lambda one: one.info.run_name)


def test_each_trial_of_a_search_is_a_run_within_the_training_s(registry, client, searched):
    run_id = registry.log_run(searched)
    complete, pruned, failed = within(client, run_id)

    assert [one.info.run_name for one in (complete, pruned, failed)] == ["trial 1", "trial 2", "trial 3"]
    assert [one.info.status for one in (complete, pruned, failed)] == ["FINISHED", "FINISHED", "FAILED"]
    states = [one.data.tags["mlops.trial"] for one in (complete, pruned, failed)]
    assert states == ["complete", "pruned", "failed"]
    assert complete.data.params == {"model.params.depth": "3"}
    assert complete.data.metrics["search/log_loss"] == 0.375
    history = client.get_metric_history(complete.info.run_id, "fold/log_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    assert [one.data.tags.get("mlops.trial.best") for one in (complete, pruned)] == ["true", None]
    assert failed.data.tags["mlops.trial.error"] == "ValueError: no such depth"


def test_a_trial_is_never_taken_for_a_training(registry, client, searched, trained):
    run_id = registry.log_run(searched)
    assert registry.find_run(searched.lock_sha) == run_id
    assert registry.log_run(searched) == run_id
    assert len(within(client, run_id)) == 3
    with pytest.raises(ConflictError, match="with bundle , expected FINISHED"):
        registry.register(within(client, run_id)[0].info.run_id, trained.digest)


def test_another_run_of_the_same_search_has_trials_of_its_own(registry, client, searched):
    first, second = registry.log_run(searched), registry.log_run(searched, force=True)
    assert len(within(client, first)) == len(within(client, second)) == 3


def test_killed_on_the_way_the_next_run_takes_the_trials_over(registry, client, searched, trained):
    experiment = client.get_experiment_by_name("flights").experiment_id
    dead = client.create_run(experiment, tags=mlflow_run.tags(searched, trained)).info.run_id
    two = dataclasses.replace(searched, trials=searched.trials[:2])
    nested_runs.log(client, experiment, dead, two)
    complete, halved = within(client, dead)
    client.update_run(halved.info.run_id, status="RUNNING")  # as one that was killed in its midst
    assert {dead, halved.info.run_id} <= set(registry.reap("f1"))

    run_id = registry.log_run(searched)
    assert [one.info.run_name for one in within(client, run_id)] == ["trial 1", "trial 2", "trial 3"]
    assert within(client, run_id)[0].info.run_id == complete.info.run_id
    assert within(client, dead) == []


def test_trials_are_taken_over_however_many_pages_they_fill_and_wherever_their_run_is(
    registry, client, searched, trained, monkeypatch
):
    monkeypatch.setattr(nested_runs, "_PAGE", 1)
    experiment = client.get_experiment_by_name("flights").experiment_id
    nested_runs.log(client, experiment, "0" * 32, searched)  # as where `mlflow gc` removed the run
    trial_ids = {one.info.run_id for one in within(client, "0" * 32)}
    assert len(trial_ids) == 3

    run_id = registry.log_run(searched, force=True)
    assert {one.info.run_id for one in within(client, run_id)} == trial_ids


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


def test_an_experiment_belongs_to_the_project_that_came_first(server, client, run):
    MlflowRegistry(server, "shared").log_run(run)
    first = MlflowRegistry(server, "shared", project="a" * 12)
    logged = first.log_run(run, force=True)
    other = MlflowRegistry(server, "shared", project="b" * 12)
    with pytest.raises(
        NameTakenError, match="another project called shared: its root commit is aaaaaaaaaaaa"
    ):
        other.log_run(run, force=True)
    experiment = client.get_experiment_by_name("shared")
    assert experiment.tags["mlops.project"] == "a" * 12
    assert len(client.search_runs([experiment.experiment_id])) == 2
    # A shallow clone doesn't know, and is let through.
    assert MlflowRegistry(server, "shared").log_run(run) == logged


def test_logging_prints_nothing(registry, run, capfd):
    registry.log_run(run)
    assert capfd.readouterr().out == ""


def test_mlflow_reports_to_nobody():
    # In a bare process: under pytest and in CI MLflow keeps quiet by itself.
    code = """
import mlflow.telemetry, mlops.adapters.mlflow.tracking as ours
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
    with pytest.raises(UnavailableError, match="MLflow does not respond at http") as caught:
        registry.find(CHAMPION)
    assert time.monotonic() - started < 5
    assert caught.value.retriable


def test_a_server_that_accepts_and_says_nothing_is_reported_within_seconds():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = MlflowRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}", "flights", timeout=0.2)
        with pytest.raises(UnavailableError, match="no response within"):
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


@pytest.fixture
def narrow() -> Iterator[str]:
    """A server behind a proxy that lets no file pass."""

    class Narrow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            info = {"run_id": "1", "experiment_id": "0", "artifact_uri": "mlflow-artifacts:/0/1/artifacts"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"run": {"info": info, "data": {}}}).encode())

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(413)
            self.end_headers()
            self.wfile.write(b"<html>nginx</html>")

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Narrow) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_that_the_server_does_not_take_is_an_error_that_names_it(narrow, tmp_path):
    (tmp_path / "report.html").write_text("a long report")
    with pytest.raises(MlopsError, match=rf"{narrow} could not transfer a file: 413.*proxy") as raised:
        MlflowRegistry(narrow, "flights").attach("1", tmp_path / "report.html")
    assert not raised.value.retriable


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
    with pytest.raises(MlopsError, match=r"Could not initialise MLflow's store .*mlflow\.db: .*of_tomorrow"):
        init_store(tmp_path)


def test_starting_the_server_imports_no_mlflow():
    code = "import sys, mlops.adapters.mlflow.server; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
