from __future__ import annotations

import os
import socket

import pytest

from mlops.errors import MlopsError, PortTakenError
from mlops.files import ports
from mlops.files.ports import check_port, free_port


def test_a_taken_port_names_its_owner_and_its_setting() -> None:
    port = free_port()
    check_port(port, part="MLflow", setting="MLOPS_MLFLOW_PORT")
    told = rf"MLflow is in use by .*pid {os.getpid()}.*MLOPS_MLFLOW_PORT"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTakenError, match=told):
        check_port(port, part="MLflow", setting="MLOPS_MLFLOW_PORT")


def test_a_port_of_our_own_is_no_obstacle() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_port(
            server.getsockname()[1], part="MLflow", setting="MLOPS_MLFLOW_PORT", allowed_pids={os.getpid()}
        )


def test_a_port_is_none_that_the_system_gives_out_nor_one_that_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    assert 1024 < port < 32_768
    monkeypatch.setattr(ports, "_PORTS", range(port, port + 1))
    monkeypatch.setattr(ports, "_PORT_TRIES", 1)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(MlopsError, match="is free"):
        free_port()
