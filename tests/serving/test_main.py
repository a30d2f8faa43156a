from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from mlops.config.settings import load_settings
from mlops.errors import ConfigError
from mlops.files.ports import free_port
from mlops.model.bundle import Bundle
from mlops.prediction_log import reader
from mlops.serving.__main__ import _boolean, main
from tests.patience import until
from tests.tiny import SCHEMA, tiny_bundle

ROW = {"size": 7, "colour": "red", "plum": "p1"}


@contextmanager
def serving(bundle: Path, log: Path, **other: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    port = free_port()
    environment = {"MLOPS_BUNDLE": str(bundle), "MLOPS_LOG": str(log), "MLOPS_PORT": str(port), **other}
    command = [sys.executable, "-m", "mlops.serving"]
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                _wait(client, process)
                yield process, client
        finally:
            process.kill()


def _wait(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    def ready() -> bool:
        assert process.poll() is None, "the service ended"
        try:
            return client.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    until("service that is ready", ready, patience=60)


def test_sigterm_ends_the_service_and_its_segment(bundle: Bundle, tmp_path: Path) -> None:
    with serving(bundle.folder, tmp_path, MLOPS_DEPLOYMENT="d7", MLOPS_FSYNC="1") as (process, client):
        assert client.post("/predict", json=ROW).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert [path.name.startswith("d7-") for path in tmp_path.glob("closed/*.jsonl")] == [True]


def test_no_answer_is_lost_to_a_kill(bundle: Bundle, tmp_path: Path) -> None:
    answered: list[str] = []

    def ask() -> None:
        try:
            with httpx.Client(base_url=client.base_url) as own:
                while True:
                    answered.append(own.post("/predict", json=ROW).json()["predictions"][0]["id"])
        except httpx.TransportError:
            return

    with serving(bundle.folder, tmp_path) as (process, client):
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(
            "hundred answers",
            lambda: len(answered) >= 100 or not any(map(threading.Thread.is_alive, threads)),
        )
        assert len(answered) >= 100
        process.kill()
        for thread in threads:
            thread.join()
    assert set(answered) <= reader.ids(tmp_path)
    reader.compact(tmp_path, SCHEMA)
    assert set(answered) <= reader.ids(tmp_path)


def test_a_model_that_does_not_compile_is_served_as_fitted(tmp_path: Path) -> None:
    fitted = tiny_bundle(tmp_path / "bundle", compiled=False)
    with serving(fitted.folder, tmp_path / "log") as (_, client):
        assert client.get("/version").json()["compiled"] is False
        assert client.post("/predict", json=ROW).status_code == 200


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "MLOPS_BUNDLE"),
        ({"MLOPS_BUNDLE": "/nowhere"}, "manifest.json"),
        ({"MLOPS_PORT": "http"}, "MLOPS_PORT"),
    ],
)
def test_what_cannot_be_served_is_said(
    bundle: Bundle, tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    usable = (
        {"MLOPS_BUNDLE": str(bundle.folder), "MLOPS_LOG": str(tmp_path)}
        if "MLOPS_PORT" in environment
        else {}
    )
    process = subprocess.run(
        [sys.executable, "-m", "mlops.serving"],
        env={**os.environ, **usable, **environment},
        capture_output=True,
        check=False,
    )
    assert process.returncode == 1
    assert said in process.stderr.decode()
    assert "Traceback" not in process.stderr.decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLOPS_FSYNC", "maybe"),
        ("MLOPS_FSYNC", ""),
        ("MLOPS_MAX_ROWS", "²"),
        ("MLOPS_PORT", "0"),
        ("MLOPS_PORT", "70000"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda _: None)
    with pytest.raises(ConfigError, match=f"environment: {name}: got"):
        main({"MLOPS_BUNDLE": str(bundle.folder), "MLOPS_LOG": str(tmp_path), name: value})


@pytest.mark.parametrize("word", ["1", "true", "Yes", "ON", "0", "False", "no", "off"])
def test_a_truth_is_told_in_the_words_of_the_settings(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_FSYNC", word)
    assert _boolean({"MLOPS_FSYNC": word}, "MLOPS_FSYNC") is load_settings().fsync


def test_the_service_imports_nothing_that_the_image_lacks() -> None:
    lacking = (
        "pandas",
        "pyarrow",
        "pydantic",
        "sklearn",
        "skops",
        "scipy",
        "mlflow",
        "prefect",
        "dvc",
        "evidently",
    )
    code = f"import sys, mlops.serving.__main__; print([m for m in {lacking} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"[]"
