"""What we use of vendors that they do not promise, a test each: the one that a version bump breaks says what.

Each docstring tells who uses it, and pyproject.toml bounds these vendors below their next minor version.
`test_vendor_names.py` lists every use of a vendor's underscore name in mlops/, so that none is added
without a test here. One file, however long: who raises a bound runs it and knows.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

import mlops

LIBRARY = Path(mlops.__file__).parent
SEAMS: set[str] = set()
"""The underscore names of vendors that a test here holds."""


Test = TypeVar("Test", bound=Callable[..., None])


def holds(*names: str) -> Callable[[Test], Test]:
    """Say of a test which underscore names it is about."""
    SEAMS.update(names)
    return lambda test: test


GRAPH = "stages:\n  grow:\n    cmd: echo plum > out.txt\n    deps: [in.txt]\n    outs: [out.txt]\n"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A project of DVC with one stage, which has something to do."""
    from dvc.logger import set_loggers_level
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    with set_loggers_level(50):
        Repo.init(str(tmp_path)).close()
        (tmp_path / "in.txt").write_text("seed\n")
        (tmp_path / "dvc.yaml").write_text(GRAPH)
        with Repo(str(tmp_path), _wait_for_lock=True) as repo:
            yield repo


def grow(repo: Any, **how: Any) -> None:
    repo.reproduce([str(Path(repo.root_dir) / "dvc.yaml")], **how)


@holds("_wait_for_lock=")
def test_dvc_waits_for_its_lock_where_it_is_asked_to(repo: Any) -> None:
    """`adapters.dvc.tree`: plain DVC gives up after three seconds."""
    from dvc.repo import Repo

    assert "_wait_for_lock" in inspect.signature(Repo).parameters
    assert repo.lock._wait


@holds("dvc.repo.reproduce._reproduce_stage")
def test_dvc_hands_each_stage_to_repro_fn_with_what_reproduce_stage_takes(repo: Any) -> None:
    """`adapters.dvc.reproduction.reproduce`: a stage is a task of the caller's."""
    from dvc.repo.reproduce import _reproduce_stage

    handed = []

    def step(stage: Any, **how: Any) -> Any:
        assert stage.changed(upstream=how["upstream"])
        handed.append((stage.name, how["force"], stage.path_in_repo))
        return _reproduce_stage(stage, **how)

    grow(repo, repro_fn=step)
    assert handed == [("grow", False, "dvc.yaml")]
    assert (Path(repo.root_dir) / "out.txt").read_text() == "plum\n"


def test_dvc_runs_a_command_by_cmd_run_of_its_module(repo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`adapters.dvc.reproduction`: our stages run in this process."""
    import dvc.stage.run

    ran = []

    def cmd_run(stage: Any, dry: bool = False, run_env: Any = None) -> None:
        ran.append(stage.cmd)
        Path(stage.wdir, "out.txt").write_text("here", encoding="utf-8")

    monkeypatch.setattr(dvc.stage.run, "cmd_run", cmd_run)
    grow(repo)
    assert ran == ["echo plum > out.txt"]


def test_dvc_records_a_stage_by_its_own_save_and_save_deps(repo: Any) -> None:
    """`adapters.dvc.reproduction._hold_inputs`: the inputs are those of before the body."""
    from dvc.repo.reproduce import _reproduce_stage

    called = []

    def step(stage: Any, **how: Any) -> Any:
        for name in ("save", "save_deps"):
            plain = getattr(stage, name)
            setattr(stage, name, lambda _n=name, _p=plain, **k: (called.append(_n), _p(**k))[1])
        stage.relpath = stage.path_in_repo
        return _reproduce_stage(stage, **how)

    grow(repo, repro_fn=step)
    assert called.index("save") < len(called) - 1 - called[::-1].index("save_deps")


@holds("dvc.stage.cache.StageCache._create_stage")
def test_dvc_makes_the_stage_of_its_run_cache_by_create_stage(repo: Any) -> None:
    """`adapters.dvc.reproduction._RunCache`: DVC's own takes the process's folder for the project's."""
    from dvc.stage import PipelineStage, create_stage
    from dvc.stage.cache import StageCache
    from dvc.stage.loader import StageLoader

    root, made = Path(repo.root_dir), []

    class Ours(StageCache):  # type: ignore[misc]
        def _create_stage(self, cache: Any, wdir: str | None = None) -> Any:
            made.append(cache["cmd"])
            outs = [out["path"] for out in cache["outs"]]
            path = str(Path(self.repo.root_dir) / "dvc.yaml")
            stage = create_stage(
                PipelineStage, repo=self.repo, path=path, cmd=cache["cmd"], wdir=wdir, outs=outs
            )
            StageLoader.fill_from_lock(stage, cache)
            return stage

    repo.stage_cache = Ours(repo)
    grow(repo)
    assert made
    made.clear()
    (root / "out.txt").unlink()
    (root / "dvc.lock").unlink()
    grow(repo)
    assert set(made) == {"echo plum > out.txt"}
    assert (root / "out.txt").read_text() == "plum\n"


@holds(
    "dvc.utils.serialize._common",
    "dvc.utils.serialize._yaml",
    "dvc.utils.serialize._common._dump_data",
    "dvc.utils.serialize._yaml._dump_data",
)
def test_dvc_writes_its_records_by_dump_data(repo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`adapters.dvc.metafiles`: a record is written aside and renamed."""
    from dvc.utils.serialize import _common, _yaml

    plain, written = _common._dump_data, []

    def dump(path: Any, data: Any, dumper: Callable[..., Any], fs: Any = None, **how: Any) -> None:
        written.append(Path(path).name)
        plain(path, data, dumper, fs=fs, **how)

    for module in (_common, _yaml):
        monkeypatch.setattr(module, "_dump_data", dump)
    grow(repo)
    repo.add([str(Path(repo.root_dir) / "in.txt")], relink=False)
    assert set(written) >= {"dvc.lock", "in.txt.dvc"}


def test_dvc_names_a_record_that_it_cannot_read(repo: Any) -> None:
    """`adapters.dvc.metafiles.damaged` and `reason`."""
    from dvc.repo import Repo
    from dvc.utils.serialize import ParseError
    from dvc.utils.strictyaml import YAMLValidationError

    root = Path(repo.root_dir)
    (root / "dvc.lock").write_text("<<<<<<< HEAD\n")
    with pytest.raises((ParseError, YAMLValidationError)) as cut:
        grow(repo)
    assert Path(cut.value.path).name == "dvc.lock"
    (root / "dvc.lock").unlink()
    (root / "dvc.yaml").write_text("stages:\n  grow:\n    cmd: echo\n    depths: [1]\n")
    with Repo(str(root)) as again, pytest.raises(YAMLValidationError) as wrong:
        grow(again)
    [error] = wrong.value.exc.errors
    assert error.error_message
    assert error.path[:2] == ["stages", "grow"]


def test_dvc_keeps_an_object_by_its_md5_read_only(repo: Any) -> None:
    """`adapters.dvc.cache`: objects are read and hashed without DVC."""
    root = Path(repo.root_dir)
    (root / "lake").mkdir()
    (root / "lake" / "a.csv").write_text("1\n")
    [stage] = repo.add([str(root / "lake")], relink=False)
    md5 = stage.outs[0].hash_info.value
    kept = Path(repo.cache.local.path)
    assert kept == root / ".dvc" / "cache" / "files" / "md5"
    [entry] = json.loads((kept / md5[:2] / md5[2:]).read_bytes())
    assert entry["relpath"] == "a.csv"
    assert (kept / entry["md5"][:2] / entry["md5"][2:]).stat().st_mode & 0o777 == 0o444
    assert {out.hash_info.value for out in repo.index.outs if out.use_cache and out.hash_info} == {md5}


def test_dvc_calls_a_half_written_file_by_22_letters() -> None:
    """`adapters.dvc.cache.sweep_outputs`: nobody else's file is taken for litter."""
    from dvc_objects.fs.utils import tmp_fname

    from mlops.adapters.dvc.cache import _UNFINISHED

    assert _UNFINISHED.fullmatch(tmp_fname())


def test_dvc_lists_the_paths_in_use_in_tmp_rwlock(repo: Any) -> None:
    """`adapters.dvc.tree`: a list that a kill left in pieces is removed."""
    from dvc.exceptions import ReproductionError
    from dvc.rwlock import RWLockFileCorruptedError

    (Path(repo.root_dir) / ".dvc" / "tmp" / "rwlock").write_text("{")
    with pytest.raises(ReproductionError) as failed:
        grow(repo)
    assert isinstance(
        failed.value.__cause__, RWLockFileCorruptedError
    )  # as `adapters.dvc.reproduction` reads it


def test_dvc_moves_objects_between_two_stores_and_tells_of_each(repo: Any, tmp_path: Path) -> None:
    """`adapters.dvc.transfer`: what fails is named, and a large object gives signs of life."""
    from fsspec.callbacks import Callback

    beats: list[int] = []

    class Signs(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            beats.append(inc)
            super().relative_update(inc)

        def branched(self, *_: Any, **__: Any) -> Callback:
            return self

    with repo.config.edit("repo") as config:
        config["remote"]["shelf"] = {"url": str(tmp_path / "shelf")}
    assert "repo" in repo.config.files
    assert "shelf" in repo.config.load_one("repo")["remote"]
    [stage] = repo.add([str(tmp_path / "in.txt")], relink=False)
    md5, absent = stage.outs[0].hash_info.value, "0" * 32
    cache, remote, failed = repo.cache.local, repo.cloud.get_remote_odb("shelf", "push"), []
    assert remote.fs.unstrip_protocol(remote.path).endswith("shelf/files/md5")
    assert set(remote.oids_exist([md5])) == set()
    remote.add(
        [cache.oid_to_path(each) for each in (md5, absent)], cache.fs, [md5, absent],
        check_exists=False, verify=False, on_error=lambda oid, exc: failed.append((oid, type(exc))),
        callback=Signs(),
    )  # fmt: skip
    assert failed == [(absent, FileNotFoundError)]
    assert set(remote.oids_exist([md5, absent])) == {md5}
    assert beats


def test_prefect_tells_the_process_of_a_run_its_id_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`orchestration.orphans`: a process without a mark is known by its environment."""
    from prefect.runtime import flow_run

    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "4c9f0e7e-0000-4000-8000-000000000001")
    assert flow_run.id == "4c9f0e7e-0000-4000-8000-000000000001"


def test_prefect_runs_what_fn_of_a_flow_holds_and_reads_tags_from_their_context() -> None:
    """`orchestration.run_flow`: a flow's tags do not come to its tasks."""
    from prefect import flow, tags
    from prefect.context import TagsContext

    def body() -> None: ...

    made = flow(body)
    assert made.fn is body
    made.fn = len
    assert made.fn is len
    with tags("plums"):
        assert TagsContext.get().current_tags == {"plums"}
        with TagsContext(current_tags=set()):
            assert TagsContext.get().current_tags == set()


def test_prefect_sends_of_a_deployment_what_was_set_alone() -> None:
    """`orchestration.runner.deployments`: registering ends no pause and no schedule."""
    from prefect import flow

    made = flow(lambda: None, name="ripen").to_deployment(name="plums")
    assert {"paused", "schedules", "entrypoint"} <= type(made).model_fields.keys()
    made.model_fields_set.difference_update({"paused", "schedules"})
    made.entrypoint = "flows/ripen.py:ripen"
    assert made.model_dump(exclude_unset=True).keys().isdisjoint({"paused", "schedules"})
    source = inspect.getsource(type(made))
    assert "exclude_unset=True" in source


def test_prefect_reads_what_a_parameter_means_under_args_alone() -> None:
    """`orchestration.flow_run.description`, and why flows are documented otherwise than the rest."""
    from prefect import flow

    def ripen(days: int) -> None:
        """Ripen.

        Args:
            days: How long.
        """

    assert flow(ripen).parameters.properties["days"]["description"] == "How long."


CONSOLE = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"


def test_prefect_takes_what_logs_on_the_terminal_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`adapters.prefect_server.environment.hush`."""
    from prefect.logging import configuration

    monkeypatch.setenv(CONSOLE, "CRITICAL")
    loaded = configuration.load_logging_config(configuration.DEFAULT_LOGGING_SETTINGS_PATH)
    assert loaded["handlers"]["console"]["level"] == "CRITICAL"


def test_prefect_knows_the_settings_that_we_set() -> None:
    """`adapters.prefect_server.environment`: a setting of another name is taken without a word."""
    from prefect.settings import Settings

    files = ("adapters/prefect_server/environment.py", "telemetry.py")
    texts = [(LIBRARY / name).read_text("utf-8") for name in files]
    ours = {name for text in texts for name in constants(text) if name.startswith("PREFECT_")} - {
        "PREFECT_API_URL",
        CONSOLE,
    }
    assert len(ours) > 5
    assert ours <= Settings().to_environment_variables(exclude_unset=False).keys()


def test_prefect_tells_which_schedule_planned_a_run() -> None:
    """`adapters.prefect_server.rest` and `project.schedule`: runs of a schedule that is gone go too."""
    from prefect.client.schemas.objects import FlowRun
    from prefect.exceptions import TerminationSignal

    assert {"created_by", "auto_scheduled", "next_scheduled_start_time"} <= FlowRun.model_fields.keys()
    assert issubclass(TerminationSignal, BaseException)  # `orchestration.runner`


def test_mlflow_chooses_its_telemetry_anew_when_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """`adapters.mlflow.tracking._prepare`: it was chosen on import, before our variable was set."""
    import mlflow.telemetry

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.telemetry.set_telemetry_client()  # type: ignore[no-untyped-call]
    assert mlflow.telemetry.get_telemetry_client() is None


def test_mlflow_knows_the_variables_that_we_set() -> None:
    """`adapters.mlflow.tracking._prepare` and `adapters.mlflow.server`."""
    import mlflow.environment_variables as known

    folder = LIBRARY / "adapters" / "mlflow"
    texts = "".join((folder / name).read_text() for name in ("tracking.py", "server.py"))
    ours = {name for name in constants(texts.replace("from __future__", "#")) if name.startswith("MLFLOW_")}
    assert len(ours) > 5
    assert [name for name in ours - {"MLFLOW_TRACKING_URI"} if not hasattr(known, name)] == []


def test_mlflow_tells_who_trains() -> None:
    """`adapters.mlflow.run._user`: what MLflow's own client would write."""
    from mlflow.tracking.context.default_context import DefaultRunContext
    from mlflow.utils.mlflow_tags import MLFLOW_USER

    assert DefaultRunContext().tags()[MLFLOW_USER]  # type: ignore[no-untyped-call]


def test_mlflow_says_api_request_to_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`adapters.mlflow.tracking`: it has no type for that."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(MlflowException, match="API request to"):
        MlflowClient(address, address).get_run("0" * 32)


def test_mlflow_takes_values_as_long_as_we_send() -> None:
    """`adapters.mlflow.run` and `nested_runs` cut what is longer."""
    from mlflow.utils import validation

    assert validation.MAX_PARAM_VAL_LENGTH >= 6000
    assert validation.MAX_TAG_VAL_LENGTH >= 5000


def test_mlflow_opens_a_model_by_load_pyfunc_of_its_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`adapters.mlflow.loader` and `mlmodel`, which writes the MLmodel file itself."""
    import mlflow.pyfunc
    from mlflow.models import Model

    assert {"artifact_path", "model_id", "model_size_bytes", "saved_input_example_info"} <= set(
        inspect.signature(Model).parameters
    )
    (tmp_path / "plum_loader.py").write_text(
        "class Model:\n    def __init__(self, path): self.path = path\n"
        "    def predict(self, rows): return self.path\n_load_pyfunc = Model\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "model" / "bundle").mkdir(parents=True)
    model = Model()
    mlflow.pyfunc.add_to_model(model, loader_module="plum_loader", data="bundle")
    model.save(str(tmp_path / "model" / "MLmodel"))
    assert mlflow.pyfunc.load_model(str(tmp_path / "model")).predict([[1]]).endswith("bundle")


def test_evidently_tells_the_column_and_the_value_and_draws_a_body() -> None:
    """`adapters.evidently`: statistics, and the note at the top of the page."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0] * 9, "colour": ["red", "blue", "red"] * 9})
    data = Dataset.from_pandas(
        frame, data_definition=DataDefinition(numerical_columns=["size"], categorical_columns=["colour"])
    )
    methods = {"size": "wasserstein", "colour": "jensenshannon"}
    ran = Report([ValueDrift(column=name, method=method) for name, method in methods.items()]).run(data, data)
    results = ran.dict()["metrics"]
    assert {each["config"]["column"]: float(each["value"]) for each in results} == {"size": 0, "colour": 0}
    assert "<body" in ran.get_html_str(as_iframe=False)


def test_typer_raises_what_it_does_not_understand_and_can_draw_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`cli.program.main`, which writes JSON instead where it is asked to."""
    import typer
    from typer import rich_utils

    app = typer.Typer(add_completion=False)
    app.command()(lambda: None)
    with pytest.raises(typer.TyperException) as wrong:
        app(["--plum"], standalone_mode=False)
    assert wrong.value.exit_code == 2
    assert wrong.value.format_message() == "No such option: --plum"
    rich_utils.rich_format_error(wrong.value)  # type: ignore[arg-type]
    assert "No such option: --plum" in capsys.readouterr().err


def test_typer_makes_130_of_an_interruption() -> None:
    """`cli.program.main`."""
    import typer

    app = typer.Typer(add_completion=False)

    @app.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert app([], standalone_mode=False) == 130


def test_skops_names_objects_and_files_in_an_uncompressed_schema() -> None:
    """`adapters.skops` makes the same bytes of the same model; `model.predictor` looks for class names."""
    import numpy as np
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps({"a": np.arange(3.0)}))) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        state = json.loads(archive.read("schema.json"))
        names = set(archive.namelist()) - {"schema.json"}
    nodes = [state]
    for node in nodes:
        below = node.values() if isinstance(node, dict) else node
        nodes += [each for each in below if isinstance(each, dict | list)]
    named = [node for node in nodes if isinstance(node, dict) and "__loader__" in node]
    assert all(isinstance(node["__id__"], int) for node in named)
    assert {node["file"] for node in named if "file" in node} == names


def test_scikit_learns_vectorizer_remembers_the_address_of_its_stop_words() -> None:
    """`adapters.skops`: an address would make other bytes of the same model."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(stop_words=["a"]).fit(["a plum"])
    assert vectorizer._stop_words_id == id(vectorizer.stop_words)


def test_skl2onnx_takes_inputs_in_order_and_puts_them_together_by_one_concat() -> None:
    """`adapters.onnx`: an input per feature becomes two tables."""
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rows = pd.DataFrame({"size of it": [1.0, 2.0, 3.0, 4.0], "heat": [1.0, 0.0, 1.0, 0.0]})
    chosen = make_column_transformer(("passthrough", ["size of it", "heat"]))
    model = make_pipeline(chosen, LogisticRegression()).fit(rows, [0, 1, 0, 1])
    inputs = [(name, FloatTensorType([None, 1])) for name in rows]
    graph = to_onnx(
        model, initial_types=inputs, options={id(model): {"zipmap": False}}, target_opset=21
    ).graph
    spelled = [each.name for each in graph.input]
    assert len(spelled) == 2
    assert next(list(node.input) for node in graph.node if node.op_type == "Concat") == spelled
    assert [each.type.WhichOneof("value") for each in graph.output] == ["tensor_type"] * 2


def test_dockers_client_takes_another_patience_and_keeps_an_engines_words() -> None:
    """`adapters.targets.docker`; what an engine says of a taken port is in tests/adapters/test_docker.py."""
    import docker
    from docker.errors import APIError, BuildError, StreamParseError

    client = docker.DockerClient(base_url="tcp://127.0.0.1:1", version="1.43", timeout=3)
    client.api.timeout = 30
    assert client.api.timeout == 30
    assert client.api.base_url
    client.close()
    assert APIError("refused", explanation="port is already allocated").explanation in str(
        APIError("refused", explanation="port is already allocated")
    )
    assert BuildError("failed", [{"stream": "line"}]).build_log == [{"stream": "line"}]
    assert issubclass(StreamParseError, Exception)


def test_supervisors_transport_speaks_over_a_socket(tmp_path: Path) -> None:
    """`adapters.processes.supervisor`, which also starts ``-m supervisor.supervisord``."""
    from xmlrpc.client import ServerProxy

    from supervisor import rpcinterface
    from supervisor.xmlrpc import Faults, SupervisorTransport

    with (
        ServerProxy(
            "http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{tmp_path / 'none'}")
        ) as proxy,
        pytest.raises(OSError, match="No such file"),
    ):
        proxy.supervisor.getPID()
    assert isinstance(Faults.NOT_RUNNING, int)
    asked = ("getPID", "shutdown", "reloadConfig", "getAllProcessInfo", "startProcess", "stopProcess")
    assert all(hasattr(rpcinterface.SupervisorNamespaceRPCInterface, name) for name in asked)
    assert importlib.util.find_spec("supervisor.supervisord")


def test_traefik_tells_of_a_service_by_its_name_and_its_provider(tmp_path: Path) -> None:
    """`adapters.traefik`: a switch counts once Traefik's own API tells of it."""
    import httpx

    from mlops.adapters.traefik import TraefikGateway
    from mlops.files.ports import free_port
    from tests.patience import until

    gateway = TraefikGateway(tmp_path, port=free_port(), api_port=free_port())
    address = f"http://127.0.0.1:{gateway.api_port}/api/http/services/model@file"

    def service() -> Any:
        try:
            answer = httpx.get(address, trust_env=False)
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == 200 else None

    with subprocess.Popen(gateway.command()) as traefik:
        try:
            found = until("service that Traefik tells of", service, patience=30)
        finally:
            traefik.terminate()
    assert found["provider"] == "file"
    assert "servers" not in found.get("loadBalancer", {}) or found["loadBalancer"]["servers"] == []


def test_uvicorn_raises_again_the_signal_that_ended_it() -> None:
    """`serving.__main__`: without a handler of ours a service that was asked to end would end by a signal."""
    program = """
import os, signal, sys, uvicorn
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
async def app(scope, receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.startup":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            return
uvicorn.run(app, port=0, loop="uvloop", http="httptools", ws="none", lifespan="on", log_level="critical")
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == 7, signal.Signals(-done.returncode) if done.returncode < 0 else done


@holds("._unset_keepalive_if_required")
def test_uvicorns_protocol_is_one_to_build_on() -> None:
    """`serving.protocol`: which of its methods are called when, and what a request that is read holds."""
    from uvicorn.protocols.http import httptools_impl

    source = inspect.getsource(httptools_impl)
    for needed in (
        "self.timeout_keep_alive_task: TimerHandle | None = None",
        "def _unset_keepalive_if_required(self)",
        "self.pipeline.appendleft((self.cycle, app))",
        "on_response=self.on_response_complete",
        "self.cycle.more_body = False",
        f"if not self.keep_alive:\n{' ' * 20}self.transport.close()\n{' ' * 16}self.on_response()",
        "self.connections.add(self)",
    ):
        assert needed in source, needed
    assert httptools_impl.STATUS_LINE[431].startswith(b"HTTP/1.1 431 ")


def test_sqlalchemy_keeps_a_databases_words(tmp_path: Path) -> None:
    """`ledger.store` and `adapters.sources.sql`: there is no type for a busy or an absent database."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    absent = create_engine(f"sqlite:///{tmp_path}/none/ledger.db")
    with pytest.raises(OperationalError) as away, absent.connect():
        pass
    assert "unable to open" in str(away.value.orig)
    assert not away.value.connection_invalidated
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.db", connect_args={"timeout": 0})
    with engine.begin() as one:
        one.exec_driver_sql("CREATE TABLE plums (size REAL)")
        with pytest.raises(OperationalError) as twice:
            one.exec_driver_sql("CREATE TABLE plums (size REAL)")
    assert "exists" in str(twice.value.orig)
    with engine.begin() as one, engine.connect() as two:
        one.exec_driver_sql("INSERT INTO plums VALUES (1)")
        with pytest.raises(OperationalError) as busy:
            two.exec_driver_sql("INSERT INTO plums VALUES (2)")
    assert "locked" in str(busy.value.orig)
    engine.dispose()


def test_pandera_has_pyarrow_leave_time_zones_out_of_account() -> None:
    """`data.validation._pandera` takes that back; where pandera no longer does it, this goes."""
    program = "import os, pandera.pandas; print(os.environ.get('PYARROW_IGNORE_TIMEZONE'))"
    clean = {name: value for name, value in os.environ.items() if name != "PYARROW_IGNORE_TIMEZONE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"


def constants(text: str) -> set[str]:
    nodes = ast.walk(ast.parse(text))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
