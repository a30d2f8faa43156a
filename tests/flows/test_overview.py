"""What `mlops status` shows, and how it asks: every part at once, and no longer than one time-out."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlops.adapters.prefect_server.rest import Deployments
from mlops.config.project_folder import ProjectFolder
from mlops.config.settings import Settings
from mlops.errors import MlopsError, PortTakenError, UnavailableError
from mlops.files.ports import free_port
from mlops.ledger.judgement import Window
from mlops.ledger.records import (
    DataVersioned,
    DeploymentServed,
    DriftChecked,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    QualityChecked,
    RetrainRefused,
)
from mlops.ledger.store import Ledger
from mlops.project import up
from mlops.project.context import Project
from mlops.project.health import Health, health, watched
from mlops.project.name_check import check_name_conflict
from mlops.project.status import Overview, Traffic, overview
from mlops.serving.prometheus import Metrics
from tests.flows.orchard import PARAMS
from tests.ledger_rows import made

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAVY = {"pandas", "numpy", "sklearn", "pyarrow", "mlflow", "prefect", "dvc", "evidently", "docker"}


def a_loop(root: Path, **settings: object) -> Project:
    (root / "params.yaml").write_text(PARAMS.format(name="plums", hold=root / "hold", target="process"))
    return Project(ProjectFolder(root, Settings(**settings)))


def unused() -> dict[str, object]:
    return {f"{name}_port": free_port() for name in ("gateway", "gateway_api", "mlflow", "prefect")}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose parts are down, and whose ledger tells of a week."""
    project = a_loop(tmp_path, **unused())
    times = iter(NOW - timedelta(days=age) for age in range(7, -1, -1))
    ledger = Ledger(project.folder.ledger_uri, clock=lambda: next(times))
    project.__dict__["ledger"] = ledger
    ledger.record(made(DataVersioned, md5="d1" * 16, rows=960))
    ledger.record(made(DataVersioned, md5="d1" * 16, rows=0))
    facts = {"version": "3", "digest": "ab" * 32}
    registered = ledger.record(made(ModelRegistered, data_md5="d1" * 16, **facts))
    window = Window(datetime(2026, 1, 20, tzinfo=UTC), datetime(2026, 1, 24, 16, tzinfo=UTC))
    judged = ledger.record(made(GateJudged, window=window), cause=registered)
    promoted = ledger.record(ModelPromoted.of(registered.record, fitted_until=window.end), cause=judged)
    ledger.record(made(DeploymentServed, deployment="plums-v3", **facts), cause=promoted)
    ledger.record(made(DriftChecked), cause=promoted, as_of=NOW)
    ledger.record(made(RetrainRefused, rule="too_few_rows", reason="too few rows."))
    yield project
    ledger.close()


def test_what_newer_labels_showed_is_beside_the_window(project: Project) -> None:
    assert overview(project, now=NOW).to_dict()["quality"] is None
    [checked] = project.ledger.entries(DriftChecked)
    later = Ledger(project.folder.ledger_uri, clock=lambda: NOW)
    entry = later.record(made(QualityChecked), cause=checked, as_of=NOW)
    later.close()
    seen = overview(project, now=NOW)
    assert "Judged again by newer labels: quality ok" in " ".join(seen.text().split())
    assert seen.to_dict()["quality"]["sentence"] == entry.record.sentence


def test_an_empty_project_is_told_what_to_do_first(tmp_path: Path) -> None:
    seen = overview(a_loop(tmp_path, **unused()), now=NOW)
    text = seen.text()
    for verb in ("mlops ingest FILE", "mlops deploy", "mlops monitor", "mlops schedule", "mlops up"):
        assert f"`{verb}`" in text
    assert not any(part.up for part in seen.parts)


def test_the_ledger_is_told_in_ages(project: Project) -> None:
    seen = overview(project, now=NOW)
    text = seen.text()
    assert "plums version 3, digest abababababab, in a process" in text
    assert "since 2026-02-27 12:00 UTC (2 d ago)" in text
    # The first row that names the version, not the one of the file that came again.
    assert "version d1d1d1d1d1d1, 7 d ago; its rows reach 2026-01-24 16:00" in text
    assert "checked 1 d ago, window up to 2026-03-01 12:00" in text
    assert [entry.kind for entry in seen.decisions] == ["gate.judged", "retrain.refused"]
    assert max(len(line) for line in text.splitlines()) < 120


def test_what_serves_and_does_not_answer_is_told_with_its_remedy(project: Project) -> None:
    seen = overview(project, now=NOW)
    assert "UNREACHABLE" in seen.text()
    assert "`mlops up`" in seen.problem
    assert seen.to_dict()["reachable"] is False


def test_requests_are_counted_by_how_they_ended() -> None:
    metrics = Metrics(paths=("/predict", "/invocations", "/health"))
    for path, status in (("/predict", 200), ("/predict", 422), ("/invocations", 200), ("/health", 200)):
        metrics.request(path, status, 0.01)
    metrics.request("/predict", 503, 0.01)
    assert Traffic.parse(metrics.render().decode()) == Traffic(4, rejected=1, errors=1)
    with pytest.raises(ValueError, match="could not convert"):
        Traffic.parse("no metric")
    assert str(Traffic(1234, 1, 0)) == "1,234 requests, 1 rejected, 0 failed since it started"


def test_the_parts_are_asked_at_once_and_another_s_answer_counts_for_none_of_ours(tmp_path: Path) -> None:
    together = threading.Barrier(3)  # nobody is answered before all have been asked

    class Waits(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "deployments" not in self.path:
                together.wait(10)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Waits) for _ in range(3)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    names = ("prefect_port", "mlflow_port", "gateway_api_port")
    ports = {name: server.server_port for name, server in zip(names, servers, strict=True)}
    seen = health(a_loop(tmp_path, **ports), timeout=10)
    for server in servers:
        server.shutdown()
        server.server_close()
    assert [part.part for part in seen if part.up] == []
    others = [part.part for part in seen if "another process responds there" in part.problem]
    assert others == ["prefect", "mlflow", "gateway"]
    assert {part.remedy for part in seen} == {"Start it with `mlops up`."}


@pytest.fixture
def page() -> Iterator[int]:
    """The port of somebody who answers everything with a page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome!</html>")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_who_answers_and_is_no_prefect_is_told_as_such(tmp_path: Path, page: int) -> None:
    project = a_loop(tmp_path, **unused(), PREFECT_API_URL=f"http://127.0.0.1:{page}/api")
    with pytest.raises(UnavailableError, match="another service answers there"):
        Deployments(project.folder).of("monitor")
    seen = overview(project, now=NOW)
    assert [each.paused for each in seen.next] == [None] * 4
    assert not next(part for part in seen.parts if part.part == "runner").up


def test_an_mlflow_that_asks_for_a_login_is_not_taken_for_one_without_the_name(tmp_path: Path) -> None:
    class Locked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == "Basic YWRhOnNlY3JldA=="
            self.send_response(200 if known or self.path == "/health" else 401)
            self.end_headers()
            self.wfile.write(b'{"experiment": {}}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Locked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = {**unused(), "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server.server_port}/"}
        project = a_loop(tmp_path, **where)
        project.__dict__["origin"] = "0123456789ab"
        with pytest.raises(MlopsError, match="401") as refused:
            check_name_conflict(project)
        assert "MLFLOW_TRACKING_USERNAME" in refused.value.remedy
        [mlflow] = [part for part in health(project, timeout=5) if part.part == "mlflow"]
        assert "credentials required" in mlflow.problem
        login = {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "secret"}
        project = a_loop(tmp_path, **where, **login)
        project.__dict__["origin"] = "0123456789ab"
        check_name_conflict(project)
        assert next(part for part in health(project, timeout=5) if part.part == "mlflow").up
        server.shutdown()


def test_a_part_of_ours_in_whose_place_another_answers_is_not_up(tmp_path: Path, page: int) -> None:
    project = a_loop(tmp_path, **{**unused(), "mlflow_port": page})
    mlflow = next(part for part in watched(project) if part.part == "mlflow")
    assert mlflow.ask(timeout=5).ok
    with pytest.raises(PortTakenError, match=f"Port {page} for MLflow") as taken:
        up._wait(project, mlflow, 5, lambda _: None)
    assert "MLOPS_MLFLOW_PORT" in taken.value.remedy


def test_a_part_that_hangs_is_told_after_its_time_out(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as hangs:
        port = hangs.getsockname()[1]
        seen = health(a_loop(tmp_path, **unused() | {"mlflow_port": port}), timeout=0.2)
    assert [part.problem for part in seen][:2] == ["connection refused", "no response within 0.2 s"]


def test_a_part_that_runs_elsewhere_names_its_variable(tmp_path: Path) -> None:
    elsewhere = f"http://127.0.0.1:{free_port()}/api"
    [prefect, *_] = health(a_loop(tmp_path, **unused() | {"PREFECT_API_URL": elsewhere}))
    assert (prefect.address, prefect.up) == (elsewhere.removesuffix("/api"), False)
    assert "PREFECT_API_URL" in prefect.remedy


def test_a_part_that_is_down_is_one_line_with_what_to_do() -> None:
    down = Health("mlflow", "http://127.0.0.1:5000", False, "connection refused", "Start it with `mlops up`.")
    text = Overview("m", "a", NOW, None, "", None, None, None, None, [], [], [down]).text()
    assert (
        "Services   mlflow  DOWN  connection refused at http://127.0.0.1:5000. Start it with `mlops up`."
        in text
    )


def test_status_imports_nothing_heavy(project: Project) -> None:
    program = (
        "import sys; from mlops.cli import main\n"
        f"sys.argv = ['mlops', '-C', {str(project.folder.root)!r}, 'status']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"sys.stderr.write(' '.join(sorted({HEAVY} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Serving    plums version 3" in done.stdout
    assert done.stderr == ""
