from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from mlops.model import predictor
from mlops.model.bundle import Bundle
from mlops.prediction_log.writer import PredictionLog
from mlops.serving import Service, build_app
from mlops.serving.app import PATHS
from mlops.serving.http_server import configuration
from mlops.serving.limits import Limits
from mlops.serving.prometheus import Metrics
from tests.tiny import tiny_bundle

LIMITS = Limits(rows=50, body=100_000, seconds=30)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="module")
def service(bundle: Bundle, log_folder: Path) -> Service:
    return new_service(bundle, log_folder)


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with served(service, LIMITS) as client:
        yield client


def new_service(bundle: Bundle, log_folder: Path) -> Service:
    return Service(
        bundle,
        predictor.load(bundle),
        PredictionLog(log_folder, "d1"),
        Metrics(PATHS),
        deployment="d1",
        version="3",
    )


@contextmanager
def served(service: Service, limits: Limits) -> Iterator[httpx.Client]:
    config = configuration(build_app(service, limits), limits, service.metrics, port=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join()
