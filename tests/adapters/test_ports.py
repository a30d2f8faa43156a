from __future__ import annotations

import os
import socket

import pytest

from mlops.errors import PortTakenError
from mlops.files.ports import check_port, free_port


def test_a_taken_port_names_its_owner_and_its_setting() -> None:
    port = free_port()
    check_port(port, part="MLflow", setting="MLOPS_MLFLOW_PORT")
    told = rf"MLflow is taken by .*pid {os.getpid()}.*MLOPS_MLFLOW_PORT"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTakenError, match=told):
        check_port(port, part="MLflow", setting="MLOPS_MLFLOW_PORT")


def test_a_port_of_our_own_is_no_obstacle() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_port(server.getsockname()[1], part="MLflow", setting="MLOPS_MLFLOW_PORT", owned={os.getpid()})
